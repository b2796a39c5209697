"""The whole selection on small trained sources: who is asked, why, and what it costs."""

import json
import threading
from collections import Counter
from dataclasses import asdict, replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from hatlit.config import LabelsConfig, SelectionConfig
from hatlit.datamodules.base import build_view
from hatlit.datamodules.split import split_domain
from hatlit.datamodules.target.data import TargetData
from hatlit.errors import InputError
from hatlit.experiments.fleet import publish
from hatlit.selection.protocol import select
from hatlit.selection.statistics import NUM_KERNELS
from hatlit.zoo.card import Provenance, StatisticsSpec, ZooInfo
from hatlit.zoo.pairs import Pair
from hatlit.zoo.store import Zoo


def test_students_are_asked_unless_that_is_not_wanted(people, choose, make_zoo):
    zoo = make_zoo("ann", "bob")
    publish(zoo, "cid", "people", *people["cid"], Provenance(round=1, parents=("ann",)))
    assert choose(zoo, 3).by_id["cid"].selected
    chosen = choose(zoo, 2, students=False)
    assert {one.id for one in chosen.selection.verdicts if one.selected} == {"ann", "bob"}
    assert chosen.by_id["cid"].reason == "dropped: a student, and --selection.students is false"
    assert chosen.selection.traffic.everything == sum(zoo.card(name).size_bytes for name in ("ann", "bob"))
    with pytest.raises(InputError, match="more sources than the 2"):
        choose(zoo, 3, students=False)


@pytest.mark.parametrize(
    ("keep", "num_sources", "looked_at"),
    [(0.5, 1, 3), (0.34, 1, 3), (0.33, 1, 2), (0.1, 1, 1), (0.1, 4, 4), (1.0, 2, 6), (0.01, 6, 6)],
)
def test_the_coarse_stage_keeps_its_share_but_never_too_few(everybody, choose, keep, num_sources, looked_at):
    chosen = choose(everybody, num_sources, keep=keep)
    assert sum(one.fine_score is not None for one in chosen.selection.verdicts) == looked_at
    assert sum(one.selected for one in chosen.selection.verdicts) == num_sources
    assert len(chosen.selection.models) == len(chosen.selection.cards) == num_sources
    coarse = [one.coarse_score for one in chosen.selection.verdicts]
    assert None not in coarse
    kept = [one.coarse_score for one in chosen.selection.verdicts if one.fine_score is not None]
    assert sorted(kept) == sorted(coarse)[-looked_at:], "those who are most alike are looked at"


def test_the_best_come_first(everybody, choose, people):
    chosen = choose(everybody, 2, keep=0.7)
    verdicts = chosen.selection.verdicts
    assert len(verdicts) == len(people)
    assert [one.selected for one in verdicts] == [True, True, False, False, False, False]
    fine = [one.fine_score for one in verdicts[:5]]
    assert fine == sorted(fine, reverse=True)
    assert verdicts[5].fine_score is None
    assert [card.id for card in chosen.selection.cards] == [one.id for one in verdicts[:2]]


def test_the_models_are_those_of_the_cards(everybody, choose, target):
    chosen = choose(everybody, 3)
    for card, model in zip(chosen.selection.cards, chosen.selection.models, strict=True):
        view = build_view(target.asked_samples, target.asked.recorded, card.input_spec)
        assert torch.equal(model(view), chosen.zoo.load(card.id)(view))


def test_every_way_of_being_dropped_has_its_reason(make_zoo, choose, people, stranger, target):
    ann, source = people["ann"]
    zoo = make_zoo(
        *people,
        ("itself", target.domain, source),
        ("foreigner", ann, replace(source, class_names=("p", "q", "r"))),
        ("stranger", *stranger),
    )
    chosen = choose(zoo, 1, keep=0.34)
    assert chosen.by_id["itself"].reason == "dropped: trained on the target itself"
    assert chosen.by_id["foreigner"].reason == "dropped: no class name in common with the target"
    assert (
        chosen.by_id["stranger"].reason
        == "dropped: the recording has no channel w, which the model needs; it has x, y, z"
    )
    for name in ("itself", "foreigner", "stranger"):
        assert (chosen.by_id[name].coarse_score, chosen.by_id[name].fine_score) == (None, None)
        assert not chosen.by_id[name].selected
    others = [one for one in chosen.selection.verdicts if one.id in people]
    assert [one.reason for one in others] == [
        "selected: rank 1 of 3 by centroid_accuracy_agreement",
        "dropped by the fine stage: rank 2 of 3 by centroid_accuracy_agreement",
        "dropped by the fine stage: rank 3 of 3 by centroid_accuracy_agreement",
        *["dropped by the coarse stage: not among the 3 most alike of 6"] * 3,
    ]
    assert {one.id for one in chosen.selection.verdicts[6:]} == {"foreigner", "itself", "stranger"}


def test_fewer_channels_than_the_target_records_are_enough(make_zoo, choose, people, make_domain, train_on):
    source = train_on(make_domain("two", 7, channels=("x", "z")), 7)
    chosen = choose(make_zoo("ann", ("two", people["bob"][0], source)), 2)
    assert chosen.by_id["two"].selected


def test_the_account_of_a_source(everybody, choose, target):
    chosen = choose(everybody, 1, keep=0.34)
    best, dropped = chosen.selection.verdicts[0], chosen.selection.verdicts[-1]
    card = chosen.zoo.card(best.id)
    assert (best.domain, best.encoder, best.size_bytes) == (card.domain, "cnn_nano", card.size_bytes)
    labelled = target.split.labelled
    view = build_view(target.domain.tensor(labelled), target.asked.recorded, card.input_spec)
    right = chosen.zoo.load(best.id)(view).argmax(-1).numpy() == target.domain.labels[labelled]
    assert best.accuracy == pytest.approx(right.mean())
    assert (dropped.accuracy, dropped.fine_score) == (None, None)


def test_traffic_by_hand(make_zoo, choose, people, stranger):
    zoo = make_zoo(*people, ("stranger", *stranger))
    chosen = choose(zoo, 1, keep=0.34)
    traffic = chosen.selection.traffic
    asked = [zoo.card(one.id) for one in chosen.selection.verdicts if one.fine_score is not None]
    assert len(asked) == 3
    down = sum(card.size_bytes + 4 * 3 * card.feature_dim for card in asked)
    folder = Path(zoo.url)
    segments = sorted((folder / "index").glob("*-*"))
    (not_needed,) = [file for file in segments[-2:] if file.suffix == ".safetensors"]  # what the stranger came with
    index = sum(file.stat().st_size for file in segments if file != not_needed)
    files = sum(file.stat().st_size for card in asked for file in (folder / "sources" / card.id).iterdir())
    assert traffic.as_dict() == {
        "stages": {
            "coarse": {"up": 4 * 2 * 2 * NUM_KERNELS, "down": 0, "read": index},
            "fine": {"up": 0, "down": down, "read": files},
            "transfer": {"up": 0, "down": 0, "read": 0},
        },
        "everything": sum(zoo.card(name).size_bytes for name in people),
        "total": 16 * NUM_KERNELS + down,
        "against_everything": (16 * NUM_KERNELS + down) / sum(zoo.card(name).size_bytes for name in people),
    }


def test_without_a_number_five_are_asked(everybody, choose):
    chosen = choose(everybody)
    assert len(chosen.selection.cards) == 5
    assert chosen.lines == []


def test_without_a_number_a_small_zoo_is_asked_whole_and_says_so(make_zoo, choose, people, target):
    zoo = make_zoo("ann", "bob", "cid", ("itself", target.domain, people["ann"][1]))
    chosen = choose(zoo)
    assert {card.id for card in chosen.selection.cards} == {"ann", "bob", "cid"}
    assert chosen.lines == ["The zoo can offer 3 sources, so all of them are asked."]


def test_more_than_there_are_is_refused(make_zoo, choose, people, target):
    zoo = make_zoo("ann", "bob", ("itself", target.domain, people["ann"][1]))
    with pytest.raises(InputError, match="--num_sources 3 asks for more sources than the 2 that the zoo can offer"):
        choose(zoo, 3)


def test_an_empty_zoo_is_refused(make_zoo, choose):
    with pytest.raises(InputError, match=r"no usable source for this target \(it is empty\)"):
        choose(make_zoo())


def test_a_zoo_without_a_usable_source_says_why(make_zoo, choose, people, stranger, target):
    zoo = make_zoo(("itself", target.domain, people["ann"][1]), ("stranger", *stranger))
    with pytest.raises(InputError) as error:
        choose(zoo)
    reasons = "the recording has no channel w, which the model needs; it has x, y, z; trained on the target itself"
    assert f"of its 2 sources: {reasons}" in str(error.value)


def test_a_statistic_that_the_zoo_lacks_is_refused(make_zoo, choose):
    with pytest.raises(InputError) as error:
        choose(make_zoo("ann"), statistics="moments")
    assert "carries the statistics handcrafted, random_kernels, not 'moments'" in str(error.value)
    assert "--selection.statistics" in str(error.value)


@pytest.mark.parametrize("statistics", ["handcrafted", "random_kernels"])
def test_one_zoo_serves_every_statistic_it_carries(everybody, choose, statistics):
    assert len(choose(everybody, 2, statistics=statistics).selection.cards) == 2


def test_a_zoo_may_carry_another_statistic(tmp_path, people, choose):
    spec = StatisticsSpec(names=("moments",), view=people["ann"][0].recorded, seed=0)
    zoo = Zoo.create(tmp_path / "other", ZooInfo(modality="imu", statistics=spec))
    for name in ("ann", "bob"):
        publish(zoo, name, "people", *people[name])
    assert len(choose(zoo, 1, statistics="moments", keep=1.0).selection.cards) == 1


def test_selection_json_is_json(make_zoo, choose, people, blinded):
    blind = ("blind", people["ann"][0], blinded(people["ann"][1]))
    chosen = choose(make_zoo(blind, "bob", "cid"), 1, keep=1.0)
    content = json.loads(json.dumps(chosen.selection.as_dict(), allow_nan=False))
    by_id = {one["id"]: one for one in content["sources"]}
    assert by_id["blind"]["fine_score"] is None
    assert by_id["bob"] == asdict(chosen.by_id["bob"])
    assert content["traffic"]["total"] > 0


@pytest.mark.parametrize("fine", ["centroid_accuracy_agreement", "negative_log_likelihood"])
def test_the_order_of_the_sources_does_not_matter(make_zoo, choose, people, fine):
    names, outcomes = list(people), []
    for number, order in enumerate((names, names[::-1], [names[place] for place in (3, 0, 5, 1, 4, 2)])):
        members = [(f"source-{place}", *people[name]) for place, name in enumerate(order)]
        chosen = choose(make_zoo(*members, name=f"zoo-{number}"), 2, keep=0.5, fine=fine)
        outcomes.append({one.domain: one for one in chosen.selection.verdicts})
        assert [one.domain for one in chosen.selection.verdicts] == list(outcomes[0])
    for name in people:
        first, *others = (outcome[name] for outcome in outcomes)
        for other in others:
            assert (other.selected, other.reason) == (first.selected, first.reason)
            assert other.coarse_score == pytest.approx(first.coarse_score)
            assert other.fine_score == pytest.approx(first.fine_score)


def test_only_the_training_part_is_looked_at(everybody, choose, target):
    samples, labels = target.domain.samples.copy(), target.domain.labels.copy()
    samples[target.split.test] = np.nan
    labels[target.split.test] = (labels[target.split.test] + 1) % 3
    sealed = TargetData(replace(target.domain, samples=samples, labels=labels), target.split)
    assert np.isnan(sealed.domain.samples).any()
    assert choose(everybody, 2, target=sealed).selection.as_dict() == choose(everybody, 2).selection.as_dict()


def test_of_the_labels_only_the_few_are_looked_at(everybody, choose, target):
    labels = target.domain.labels.copy()
    hidden = np.setdiff1d(np.arange(len(labels)), target.split.labelled)
    labels[hidden] = (labels[hidden] + 1) % 3
    sealed = TargetData(replace(target.domain, labels=labels), target.split)
    assert choose(everybody, 2, target=sealed).selection.as_dict() == choose(everybody, 2).selection.as_dict()


def test_scores_that_draw_follow_the_seed(everybody, choose):
    first, again, other = (choose(everybody, 2, keep=1.0, fine="random", seed=seed) for seed in (0, 0, 10))
    assert first.selection.as_dict() == again.selection.as_dict()
    assert first.selection.as_dict() != other.selection.as_dict()


@pytest.fixture
def web(everybody):
    """The zoo of all on a plain web server that counts, by path, the bytes it sends."""
    pytest.importorskip("aiohttp", reason="aiohttp is not installed; pip install 'hatlit[http]' brings it")
    sent = Counter()

    class Counting(SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

        def copyfile(self, source, outputfile):
            data = source.read()
            sent[self.path.removeprefix("/")] += len(data)
            outputfile.write(data)

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Counting, directory=everybody.url))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield SimpleNamespace(url=f"http://127.0.0.1:{server.server_port}", sent=sent)
    server.shutdown()
    server.server_close()


def test_only_what_selection_asks_for_crosses_the_network(everybody, choose, web):
    chosen = choose(Zoo.open(web.url), 1, keep=0.34)
    assert [one.id for one in chosen.selection.verdicts] == [
        one.id for one in choose(everybody, 1, keep=0.34).selection.verdicts
    ]
    asked = {one.id for one in chosen.selection.verdicts if one.fine_score is not None}
    assert len(asked) == 3
    stages = chosen.selection.traffic.stages
    of_candidates = {path: count for path, count in web.sent.items() if path.startswith("sources/")}
    assert set(of_candidates) == {
        f"sources/{one}/{file}" for one in asked for file in ("card.json", "model.safetensors")
    }
    assert sum(of_candidates.values()) == stages["fine"].read
    assert sum(count for path, count in web.sent.items() if path.startswith("index/")) == stages["coarse"].read
    assert sum(web.sent.values()) == chosen.zoo.bytes_read
    weights = sum(count for path, count in of_candidates.items() if path.endswith(".safetensors"))
    assert weights == sum(chosen.by_id[one].size_bytes for one in asked)
    centroids = sum(4 * 3 * chosen.zoo.card(one).feature_dim for one in asked)
    assert stages["fine"].down == weights + centroids


def test_it_learns_from_pairs_of_earlier_targets_where_there_are_enough(make_zoo, choose, people, monkeypatch):
    zoo = make_zoo(*people)
    usual = choose(zoo, 2, similarity="rbf_mmd")
    few = choose(zoo, 2, similarity="learned")
    assert [one.coarse_score for one in few.selection.verdicts] == [
        one.coarse_score for one in usual.selection.verdicts
    ]
    assert "has pairs of 0 earlier targets to learn from and wants 6" in few.lines[0]
    assert few.selection.as_dict()["pairs_learned_from"] == 0
    zoo.add_pairs(
        Pair(source=source, target=target, accuracy=0.9 if source == "fay" else 0.2, labels=6)
        for source in people
        for target in people
        if source != target
    )
    taught = choose(zoo, 2, similarity="learned")
    assert taught.selection.pairs_learned_from == 30 and not taught.lines
    scores = {name: one.coarse_score for name, one in taught.by_id.items()}
    assert max(scores, key=scores.get) == "fay"
    with pytest.raises(InputError, match="carries the statistics"):
        choose(zoo, 2, similarity="learned", statistics="moments")


def test_without_labels_candidates_are_judged_by_what_they_say_of_the_samples(everybody, target):
    domain = target.domain
    blind = TargetData(domain, split_domain(domain, LabelsConfig(per_class=0), seed=0))
    said = []
    found = select(everybody, blind, SelectionConfig(keep=1.0), 2, 0, said.append)
    assert "The target has no label, so candidates are judged by 'mutual_information_agreement'." in said
    chosen = [one for one in found.verdicts if one.selected]
    assert len(chosen) == 2
    assert all(one.accuracy is None and one.fine_score > 0 for one in chosen)
    with pytest.raises(InputError, match="choose the fine score 'mutual_information_agreement'"):
        select(everybody, blind, SelectionConfig(fine="centroid_accuracy"), 2, 0, said.append)
