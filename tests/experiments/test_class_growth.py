"""Known and new classes, counted by hand."""

from types import SimpleNamespace

import torch
from safetensors.torch import save

from hatlit.experiments.class_growth import class_scores, growth, growth_tables


def predictions(label, predicted, **more):
    one_hot = torch.nn.functional.one_hot
    tensors = {"label": torch.tensor(label), "predicted": one_hot(torch.tensor(predicted), 3).float()}
    return save(tensors | {name: one_hot(torch.tensor(said), 3).float() for name, said in more.items()})


def test_scores_of_known_and_new_classes():
    data = predictions([0, 0, 1, 2], [0, 1, 1, 2], fused=[1, 1, 1, 0])
    scores = class_scores(data, ("sit", "walk", "fall"), {"sit", "walk", "swim"})
    assert scores["new_classes"] == ["fall"]
    assert (scores["accuracy_known"], scores["fused_known"], scores["accuracy_new"]) == (2 / 3, 1 / 3, 1.0)
    assert scores["by_class"] == {"sit": [1, 2], "walk": [1, 1], "fall": [1, 1]}
    old = class_scores(predictions([0, 1], [0, 0]), ("sit", "walk", "fall"), {"sit", "walk", "fall"})
    assert (old["new_classes"], old["accuracy_new"], old["fused_known"]) == ([], None, None)


def row(number, new, known, fused, accuracy_new, **by_class):
    scores = {"accuracy_known": known, "fused_known": fused, "accuracy_new": accuracy_new}
    return {"round": number, "new_classes": new, **scores, "by_class": by_class}


def card(round, *names):
    return SimpleNamespace(round=round, class_names=names)


CARDS = {"a": card(0, "sit"), "b": card(1, "sit", "fall"), "c": card(2, "sit", "fall")}
ROWS = [
    row(1, ["fall"], 0.5, 0.75, 0.25, sit=[2, 4], fall=[1, 4]),
    row(2, [], 0.8, 0.8, None, sit=[4, 4], fall=[3, 4]),
]


def test_what_became_of_a_new_class():
    found = growth(ROWS, CARDS)
    assert found["classes"] == {"fall": {"first": 1, "known_by": 2, "accuracy": {"1": 0.25, "2": 0.75}}}
    assert found["rounds"]["1"] == {
        "initial_classes": 0.5,
        "accuracy_known": 0.5,
        "fused_known": 0.75,
        "accuracy_new": 0.25,
    }
    assert found["rounds"]["2"]["initial_classes"] == 1.0 and found["rounds"]["2"]["accuracy_new"] is None
    classes, rounds = growth_tables(found)
    assert classes[0]["round 2"] == "75.0" and rounds[1]["new classes"] == "-"


def test_without_new_classes_there_is_nothing_to_tell():
    assert (
        growth([row(1, [], 0.5, None, None, sit=[1, 2])], {"a": card(0, "sit"), "b": card(1, "sit")})["classes"] == {}
    )
