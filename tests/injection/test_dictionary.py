import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hatlit.config import DictionaryConfig
from hatlit.injection.dictionary import KnowledgeDictionary, gate_opens, sharpen

STRICT = DictionaryConfig(strict=True, threshold=0.5)
LENIENT = DictionaryConfig(strict=False, threshold=0.5)


@pytest.mark.parametrize(
    ("accuracy", "best", "config", "opens"),
    [
        (0.8, 0.7, STRICT, True),
        (0.7, 0.7, STRICT, False),
        (0.7, 0.7, LENIENT, True),
        (0.6, 0.7, LENIENT, False),
        (0.4, -1.0, STRICT, False),
        (0.5, -1.0, STRICT, True),
        (0.4, -1.0, LENIENT, False),
    ],
)
def test_gate(accuracy, best, config, opens):
    assert gate_opens(accuracy, best, config) is opens


@given(st.lists(st.floats(0, 1, width=32), max_size=30), st.booleans())
def test_recorded_quality_never_gets_worse(accuracies, strict):
    dictionary = KnowledgeDictionary(2, 3, DictionaryConfig(strict=strict))
    history = []
    for number, accuracy in enumerate(accuracies):
        if dictionary.accepts(accuracy):
            dictionary.write(accuracy, torch.full((2, 3), float(number)))
        history.append(float(dictionary.best))
    assert history == sorted(history)
    if accuracies:
        assert history[-1] == max(accuracies)
        best = max(accuracies)
        written_by = int(dictionary.entries[0, 0])
        assert accuracies[written_by] == best
        first_or_last = accuracies.index(best) if strict else len(accuracies) - 1 - accuracies[::-1].index(best)
        assert written_by == first_or_last


def test_nothing_is_written_below_the_threshold():
    dictionary = KnowledgeDictionary(2, 2, DictionaryConfig(threshold=0.9))
    assert not dictionary.accepts(0.89)
    assert dictionary.writes == 0


def test_entries_are_looked_up_by_row_and_kept_in_the_state():
    dictionary = KnowledgeDictionary(3, 2, DictionaryConfig())
    fused = torch.tensor([[0.1, 0.9], [0.6, 0.4], [0.5, 0.5]])
    dictionary.write(0.75, fused)
    assert torch.equal(dictionary(torch.tensor([2, 0])), fused[[2, 0]])
    other = KnowledgeDictionary(3, 2, DictionaryConfig())
    other.load_state_dict(dictionary.state_dict())
    assert torch.equal(other.entries, fused)
    assert (float(other.best), int(other.writes)) == (0.75, 1)


def test_sharpening_by_hand():
    assert torch.allclose(sharpen(torch.tensor([[0.2, 0.4, 0.4]]), 2.0), torch.tensor([[0.04, 0.16, 0.16]]) / 0.36)
    unchanged = torch.tensor([[0.2, 0.8], [0.0, 1.0]])
    assert torch.allclose(sharpen(unchanged, 1.0), unchanged)
