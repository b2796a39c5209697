"""A similarity that learns from earlier targets, on domains whose worth for one another is known."""

from types import SimpleNamespace

import numpy as np
from scipy.stats import spearmanr

from hatlit.selection.coarse import coarse
from hatlit.selection.learned import ENOUGH_TARGETS, Experience, Learned, LearningSimilarity, experience_of
from hatlit.selection.similarity import SIMILARITIES, rbf_mmd
from hatlit.selection.statistics import Profile
from hatlit.zoo.pairs import Pair

#: Domains that were targets and sources; the last one is the new target.
COUNT = 14


def world(seed=0, quality=0.0):
    """Statistics of which a single direction matters, and what each source reaches on each domain."""
    rng = np.random.default_rng(seed)
    hidden = rng.normal(size=COUNT)
    noise = rng.normal(size=(COUNT, 12))
    mean = np.column_stack([hidden[:, None] + 0.1 * rng.normal(size=(COUNT, 3)), noise])
    truth = 0.9 - 0.2 * np.abs(hidden[:, None] - hidden) + quality * rng.normal(size=COUNT)[:, None]
    return Profile(mean, np.ones_like(mean)), truth


def without(profile, number):
    keep = np.arange(len(profile.mean)) != number
    return Profile(profile.mean[keep], profile.spread[keep])


def of(profile, number):
    return Profile(profile.mean[number], profile.spread[number])


def experience(profile, truth, targets, source_of=lambda target: range(COUNT - 1)):
    pairs = [(source, target) for target in targets for source in source_of(target) if source != target]
    source, target = (np.array(column) for column in zip(*pairs, strict=True))
    labels, asked = np.full(len(source), 5), np.arange(COUNT - 1)
    return Experience(without(profile, COUNT - 1), source, target, truth[source, target], labels, asked)


def how_well(score, profile, truth):
    scores = score(of(profile, COUNT - 1), without(profile, COUNT - 1))
    return spearmanr(scores, truth[: COUNT - 1, COUNT - 1]).statistic


def test_it_is_registered_and_without_experience_as_the_usual_one():
    profile, _ = world()
    learned = SIMILARITIES.get("learned")
    assert isinstance(learned, LearningSimilarity) and not isinstance(rbf_mmd, LearningSimilarity)
    target, sources = of(profile, COUNT - 1), without(profile, COUNT - 1)
    np.testing.assert_array_equal(learned(target, sources), rbf_mmd(target, sources))


def test_it_ranks_better_the_more_it_has_seen():
    worlds = [world(seed) for seed in range(12)]
    before = np.mean([how_well(rbf_mmd, *one) for one in worlds])
    few, many = (
        np.mean([how_well(Learned().fit(experience(*one, range(count))), *one) for one in worlds])
        for count in (4, COUNT - 1)
    )
    assert before + 0.02 < few < many - 0.02


def test_it_learns_which_sources_are_good_everywhere():
    profile, truth = world(quality=0.3)
    known = experience(profile, truth, range(COUNT - 1))
    strangers = Experience(
        known.profiles, known.source, known.target, known.accuracy, known.labels, np.full(COUNT - 1, -1)
    )
    whole, blind = (how_well(Learned().fit(one), profile, truth) for one in (known, strangers))
    assert whole > blind


def test_little_experience_changes_little():
    profile, truth = world()
    few = experience(profile, truth, [0], source_of=lambda target: [1, 2])
    target, sources = of(profile, COUNT - 1), without(profile, COUNT - 1)
    assert spearmanr(Learned().fit(few)(target, sources), rbf_mmd(target, sources)).statistic > 0.95


def test_more_pairs_than_it_can_use_and_equal_accuracies_stay_finite(monkeypatch):
    profile, truth = world()
    monkeypatch.setattr("hatlit.selection.learned.MOST_PAIRS", 20)
    for accuracy in (truth, np.full_like(truth, 0.5)):
        score = Learned().fit(experience(profile, accuracy, range(COUNT - 1)))
        assert np.isfinite(score(of(profile, COUNT - 1), without(profile, COUNT - 1))).all()


def test_a_broken_source_scores_nan_and_changes_no_other():
    profile, truth = world()
    known = experience(profile, truth, range(COUNT - 1))
    sources = without(profile, COUNT - 1)
    sources = Profile(sources.mean.copy(), sources.spread)
    sources.mean[3] = np.nan
    scores = Learned().fit(known)(of(profile, COUNT - 1), sources)
    assert np.isnan(scores[3]) and np.isfinite(np.delete(scores, 3)).all()
    broken = Experience(sources, known.source, known.target, known.accuracy, known.labels, known.asked)
    scores = Learned().fit(broken)(of(profile, COUNT - 1), without(profile, COUNT - 1))
    assert np.isfinite(scores).all()


def test_the_coarse_stage_uses_it():
    profile, truth = world()
    target, sources = of(profile, COUNT - 1), without(profile, COUNT - 1)
    known = experience(profile, truth, range(COUNT - 1))
    scores, _ = coarse(target, sources, "learned", 1.0, 1, known)
    np.testing.assert_array_equal(scores, Learned().fit(known)(target, sources))
    plain, _ = coarse(target, sources, "cosine", 1.0, 1, known)
    np.testing.assert_array_equal(plain, SIMILARITIES.get("cosine")(target, sources))


def test_nothing_that_has_to_do_with_the_target_is_learned_from():
    ids, domains = ("a", "b", "c", "d"), ("ann", "bob", "cid", "new")
    index = SimpleNamespace(
        ids=ids,
        rows={name: row for row, name in enumerate(ids)},
        table=SimpleNamespace(domains=domains),
        statistics=lambda name, rows: (np.array(rows)[:, None] * 1.0, np.ones((len(rows), 1))),
    )
    measured = [("a", "b"), ("c", "b"), ("a", "d"), ("d", "b"), ("b", "gone")]
    pairs = [Pair(source=source, target=target, accuracy=0.5, labels=7) for source, target in measured]
    found = experience_of(pairs, index, "any", [0, 1], "new")
    assert found.profiles.mean.tolist() == [[0.0], [1.0], [2.0]]
    assert (found.source.tolist(), found.target.tolist()) == ([0, 2], [1, 1])
    assert found.asked.tolist() == [0, 1] and found.labels.tolist() == [7, 7]
    assert found.num_targets == 1 and not found.is_enough


def test_a_target_with_a_single_pair_tells_nothing():
    profile, truth = world()
    assert experience(profile, truth, range(ENOUGH_TARGETS)).is_enough
    lonely = experience(profile, truth, range(ENOUGH_TARGETS), source_of=lambda target: [(target + 1) % 13])
    assert lonely.num_targets == 0 and not lonely.is_enough
