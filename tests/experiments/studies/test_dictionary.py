"""What the dictionary and its gate are worth, by hand."""

from hatlit.experiments.studies.dictionary import Dictionary


def test_finding(runs):
    rows = [
        *runs({("hat", "all"): [0.8, 0.7]}, [1.0, 0.8]),
        *runs({("hat_no_dictionary", "all"): [0.7, 0.6], ("hat_no_gate", "all"): [0.9, 0.9]}, [1.0, 1.0]),
        *runs({("kd", "all"): [0.9, 0.6]}),
    ]
    assert Dictionary().finding(rows) == (
        "hat (75.0 [70.0, 80.0] %) is ahead of hat_no_dictionary (+10.0 points [+10.0, +10.0]); "
        "undecided against kd (+0.0 points [-10.0, +10.0]); behind hat_no_gate (-15.0 points [-20.0, -10.0]). "
        "The accuracy that its gate sees minus that of the fused predictions on the test part is "
        "+15.0 points [+10.0, +20.0]."
    )
    table = {row["method"]: row for row in Dictionary().table(rows)}
    assert table["hat_no_gate"]["hat ahead by"] == "-15.0 points [-20.0, -10.0]"
    assert table["kd"]["gate above truth by"] == "-"
    accuracies, gates = Dictionary().figure(rows, "here").axes
    assert [text.get_text() for text in accuracies.get_yticklabels()] == list(table)
    assert [line.get_label() for line in gates.get_lines()] == ["hat", "hat_no_dictionary", "hat_no_gate", "equal"]
