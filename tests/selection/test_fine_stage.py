"""The fine stage on small trained sources: who is looked at, who is of use, and who is chosen."""

import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from hatlit.errors import InputError
from hatlit.selection.fine import FINE_SCORES


@pytest.mark.parametrize("fine", ["centroid_accuracy_agreement", "accuracy", "random", "leep", "mutual_information"])
def test_a_source_that_answers_with_nan_is_never_selected(make_zoo, choose, people, blinded, fine):
    blind = [(f"a-blind-{name}", people[name][0], blinded(people[name][1])) for name in ("ann", "bob", "cid")]
    chosen = choose(make_zoo(*blind, "dot", "eve"), 2, keep=1.0, fine=fine)
    assert {card.id for card in chosen.selection.cards} == {"dot", "eve"}
    for name, _, _ in blind:
        assert chosen.by_id[name].fine_score is None
        assert chosen.by_id[name].reason == f"dropped by the fine stage: no finite score by {fine}"
    assert chosen.lines == []


def test_where_too_few_answer_no_more_are_asked_with_a_line_saying_so(make_zoo, choose, people, blinded):
    blind = ("blind", people["ann"][0], blinded(people["ann"][1]))
    chosen = choose(make_zoo(blind, "bob", "cid"), 3, keep=1.0)
    assert {card.id for card in chosen.selection.cards} == {"bob", "cid"}
    assert chosen.lines == ["Only 2 of the 3 candidates give a finite score and are no copies, so no more are asked."]


def deaf(source):
    """A source that says the same of everything."""
    model = copy.deepcopy(source.model)
    with torch.no_grad():
        model.head.weight.zero_()
    return replace(source, model=model)


@pytest.fixture(params=["no finite score", "like a guess"])
def useless(request, blinded):
    """A way to spoil a source, and the words that tell of it."""
    return {"no finite score": blinded, "like a guess": deaf}[request.param], request.param


def test_where_the_first_candidates_are_of_no_use_the_next_get_a_closer_look(make_zoo, choose, people, useless):
    spoil, told = useless
    clones = [(f"a-{name}", people[name][0], spoil(people[name][1])) for name in people]
    chosen = choose(make_zoo(*clones, *people), 2, keep=0.1)
    looked_at = [one for one in chosen.selection.verdicts if one.accuracy is not None]
    assert len(looked_at) > 2
    assert not any(card.id.startswith("a-") for card in chosen.selection.cards)
    assert all(told in one.reason for one in looked_at if one.id.startswith("a-"))
    assert chosen.lines[0] == f"Too few of the first 2 candidates were of use, so {len(looked_at)} got a closer look."


def test_copies_are_one_opinion(make_zoo, choose, people):
    copies = [(f"z-{number}", *people["ann"]) for number in range(3)]
    chosen = choose(make_zoo(*copies, "ann", "bob", "cid"), 5, keep=1.0)
    alone = choose(make_zoo("ann", "bob", "cid"), 5, keep=1.0)
    assert {card.id for card in chosen.selection.cards} == {"ann", "bob", "cid"}
    assert all(chosen.by_id[name].reason.endswith(", a copy of 'ann'") for name, *_ in copies)
    assert all(chosen.by_id[name].agreement == alone.by_id[name].agreement for name in ("ann", "bob", "cid"))


def test_a_copy_with_a_worse_card_does_not_take_the_place_of_a_source(make_zoo, choose, people):
    domain, source = people["ann"]
    turned = replace(
        source, centroids=tuple(None if one is None else tuple(-x for x in one) for one in source.centroids)
    )
    chosen = choose(make_zoo(("a-copy", domain, turned), "ann", "bob", "cid"), 4, keep=1.0)
    assert {card.id for card in chosen.selection.cards} == {"ann", "bob", "cid"}
    assert chosen.by_id["a-copy"].reason.endswith(", a copy of 'ann'")


def test_the_same_weights_on_another_view_are_no_copy(make_zoo, choose, people):
    domain, source = people["ann"]
    model = copy.deepcopy(source.model)
    spec = model.input_spec
    model.encoder.input_spec = spec.with_(mean=(0.5,) * len(spec.channels), std=(2.0,) * len(spec.channels))
    chosen = choose(make_zoo(("a-other", domain, replace(source, model=model)), "ann", "bob", "cid"), 4, keep=1.0)
    assert {card.id for card in chosen.selection.cards} == {"a-other", "ann", "bob", "cid"}


def test_without_doubt_the_score_decides_among_the_kept_candidates(make_zoo, choose, people, useless):
    spoil, _ = useless
    clones = [(f"a-{name}", people[name][0], spoil(people[name][1])) for name in people]
    chosen = choose(make_zoo(*clones, *people), 2, keep=0.1, fine="centroid_accuracy", doubt=False)
    looked_at = [one for one in chosen.selection.verdicts if one.accuracy is not None]
    most_alike = sorted(chosen.selection.verdicts, key=lambda one: one.coarse_score, reverse=True)[:2]
    assert {one.id for one in looked_at} == {one.id for one in most_alike}
    assert any(one.id.startswith("a-") for one in looked_at)
    scores = sorted((one.fine_score for one in looked_at if one.fine_score is not None), reverse=True)
    assert [chosen.by_id[card.id].fine_score for card in chosen.selection.cards] == scores
    assert not any("closer look" in line for line in chosen.lines)


def test_without_doubt_copies_are_sources(make_zoo, choose, people):
    copies = [(f"z-{number}", *people["ann"]) for number in range(3)]
    chosen = choose(make_zoo(*copies, "ann", "bob", "cid"), 6, keep=1.0, doubt=False)
    assert len(chosen.selection.cards) == 6
    assert not any("copy" in one.reason for one in chosen.selection.verdicts)
    assert chosen.lines == []


def test_one_that_seemed_worst_at_first_is_read_again(everybody, choose, monkeypatch):
    def worth(candidate):
        place = places.setdefault(candidate.seed, len(places))
        return place if candidate.agreement == 1 else -place

    places: dict[int, int] = {}  # in the order in which candidates are looked at; each has a draw of its own
    monkeypatch.setattr(FINE_SCORES, "get", {"odd": worth}.get)
    chosen = choose(everybody, 1, keep=1.0, fine="odd")
    (card,), (model,) = chosen.selection.cards, chosen.selection.models
    assert card.id == max(chosen.selection.verdicts, key=lambda one: one.coarse_score).id
    again = chosen.zoo.load(card.id).state_dict()
    assert all(torch.equal(weights, again[name]) for name, weights in model.state_dict().items())


def test_where_the_first_candidates_are_of_use_no_more_are_looked_at(everybody, choose):
    chosen = choose(everybody, 2, keep=0.1)
    assert sum(one.accuracy is not None for one in chosen.selection.verdicts) == 2


def test_where_none_answers_the_zoo_is_refused(make_zoo, choose, people, blinded):
    with pytest.raises(InputError, match="No candidate has a finite score"):
        choose(make_zoo(("blind", people["ann"][0], blinded(people["ann"][1]))))


def test_an_infinite_score_ranks_last(everybody, choose, monkeypatch):
    worths = iter([-np.inf, 0.5, np.inf, 0.7, np.nan, 0.6])
    known: dict[int, float] = {}

    def worth(candidate):
        if candidate.seed not in known:  # each has a draw of its own
            known[candidate.seed] = next(worths)
        return known[candidate.seed]

    monkeypatch.setattr(FINE_SCORES, "get", {"odd": worth}.get)
    chosen = choose(everybody, 3, keep=1.0, fine="odd")
    assert [one.fine_score for one in chosen.selection.verdicts] == [0.7, 0.6, 0.5, None, None, None]


def test_a_broken_candidate_is_left_out_and_named(make_zoo, choose):
    zoo = make_zoo("ann", "bob", "cid")
    weights = Path(zoo.url) / "sources/bob/model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4] + b"1234")
    chosen = choose(zoo, 2, keep=1.0)
    assert {card.id for card in chosen.selection.cards} == {"ann", "cid"}
    assert "do not match its card" in chosen.by_id["bob"].reason
    assert len(chosen.lines) == 1
    assert "1 of the 3 candidates are left out; the first was dropped: the weights of source 'bob'" in chosen.lines[0]


def test_where_every_candidate_is_broken_the_reason_is_told(make_zoo, choose):
    zoo = make_zoo("ann")
    (Path(zoo.url) / "sources/ann/model.safetensors").unlink()
    with pytest.raises(InputError, match="the first was dropped: there is no 'sources/ann/model"):
        choose(zoo)
