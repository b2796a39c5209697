"""Which candidates are of use, by hand."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch

from hatlit.config import LabelsConfig
from hatlit.datamodules.split import split_domain
from hatlit.datamodules.target.data import TargetData
from hatlit.selection import closer_look
from hatlit.selection.closer_look import CloserLook, guesses, is_finite, look_at
from hatlit.selection.fine import Candidate

LEARNED = [0, 1, 0, 1, 0, 1]


def candidate(said, labelled=(0, 1)):
    """One that says these classes of unlabelled samples, and those of two labelled ones, a sample of either class."""
    return Candidate(
        probabilities=np.eye(2)[list(labelled)],
        labels=np.arange(2),
        features=np.ones((2, 1)),
        source_centroids={},
        unlabelled_probabilities=np.eye(2)[said],
        seed=0,
    )


@pytest.mark.parametrize(
    ("num_classes", "labels", "right", "is_a_guess"),
    [
        (2, 2, 1, False),  # 2/3 · 2
        (2, 2, 0, True),  # 2²
        (7, 7, 1, True),  # 1/4 · 2⁶
        (7, 7, 2, False),  # 1/16 · 2⁵
        (1, 1, 1, False),
    ],
)
def test_a_wrong_answer_doubles_the_odds_of_a_guess(num_classes, labels, right, is_a_guess):
    assert guesses(right / labels, labels, num_classes) is is_a_guess


def test_of_use_is_who_neither_guesses_nor_stands_alone():
    look = CloserLook(num_classes=2)
    for said, labelled in [
        (LEARNED, (0, 1)),
        (LEARNED, (0, 1)),
        (LEARNED, (1, 0)),
        ([0] * 6, (0, 0)),
    ]:
        look.add(candidate(said, labelled))
    assert [one.doubt for one in look.judged()] == [
        "",
        "",
        "like a guess on the labelled few",
        "in agreement with hardly any other",
    ]
    assert look.of_use == 2
    assert look.judged()[0].candidate.agreement > look.judged()[3].candidate.agreement == 0


def test_two_cannot_bear_each_other_out():
    look = CloserLook(num_classes=2)
    look.add(candidate(LEARNED))
    look.add(candidate([0] * 6, (0, 0)))
    assert look.of_use == 2


@pytest.mark.parametrize("where", ["probabilities", "features", "unlabelled_probabilities"])
def test_one_infinite_answer_is_enough(where):
    sound = candidate(LEARNED)
    spoiled = getattr(sound, where).copy()
    spoiled[0, 0] = np.inf
    assert is_finite(sound)
    assert not is_finite(replace(sound, **{where: spoiled}))


@pytest.mark.parametrize("logit", [-torch.inf, 1e7, -1e7])
def test_what_is_far_too_large_does_not_hide_behind_a_softmax(make_zoo, people, target, logit):
    (card,) = make_zoo("ann").cards()
    model = copy.deepcopy(people["ann"][1].model)
    assert is_finite(look_at(card, model, target, seed=0))
    torch.nn.init.constant_(model.head.bias[:1], logit)
    assert not is_finite(look_at(card, model, target, seed=0))


def test_unlabelled_rows_that_are_looked_at_are_of_all_classes(make_zoo, make_domain, people, monkeypatch):
    """A data set may hold one class after the other."""
    domain = make_domain("sorted", 50)
    order = np.argsort(domain.labels, kind="stable")
    domain = replace(domain, samples=domain.samples[order], labels=domain.labels[order])
    target = TargetData(domain, split_domain(domain, LabelsConfig(per_class=2), seed=0))
    seen, view = [], TargetData.view
    monkeypatch.setattr(closer_look, "UNLABELLED_ROWS", 12)
    monkeypatch.setattr(TargetData, "view", lambda self, spec, rows: seen.append(rows) or view(self, spec, rows))
    (card,) = make_zoo("ann").cards()
    look_at(card, people["ann"][1].model, target, seed=0)
    looked_at = domain.labels[target.split.train[seen[-1].numpy()]]
    assert len(looked_at) == 12
    assert set(looked_at) == {0, 1, 2}


def test_each_candidate_target_and_seed_has_a_draw_of_its_own(make_zoo, people, target):
    """Else who is drawn at random would follow the order in which candidates are looked at."""
    other = replace(target, domain=replace(target.domain, name="another"))
    cards = make_zoo("ann", "bob").cards()
    drawn = {
        look_at(card, people["ann"][1].model, whose, seed).seed
        for card in cards
        for whose in (target, other)
        for seed in (0, 1)
    }
    assert len(drawn) == 8
