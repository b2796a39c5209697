from hatlit.selection.verdict import Verdict, as_reason


def test_a_sentence_becomes_part_of_another():
    assert as_reason("The card says 3.5 Hz.") == "the card says 3.5 Hz"
    assert as_reason("") == ""


def test_who_is_dropped_says_why_and_is_not_selected():
    verdict = Verdict("ann", "ann", "cnn_nano", 12)
    verdict.drop("There is no 'model.safetensors'.")
    assert verdict.reason == "dropped: there is no 'model.safetensors'"
    assert not verdict.selected
