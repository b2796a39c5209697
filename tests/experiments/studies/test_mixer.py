"""Attention and consensus, each with the other and without, by hand."""

from hatlit.experiments.studies.mixer import METHODS, WORTH, Mixer


def test_finding(runs, failed):
    rows = runs(
        {
            ("hat", "all"): [0.9, 0.6, 0.7],
            ("hat_no_attention", "all"): [0.6, 0.6, 0.8],
            ("hat_no_consensus", "all"): [0.5, 0.5, 0.4],
            ("hat_equal_weights", "all"): [0.5, 0.5, 0.4],
        }
    )
    said = Mixer().finding([*rows, failed])
    attention, consensus = said.split(" Consensus: ")
    assert attention.startswith(
        "Attention: with consensus, hat is undecided against hat_no_attention (+6.7 points [-10.0, +30.0] over 3 pairs "
        "of target and seed, better in 1, equal in 1, worse in 1); "
        "without consensus, hat_no_consensus is undecided against hat_equal_weights (+0.0 points"
    )
    assert consensus.startswith("with attention, hat is ahead of hat_no_consensus (+26.7 points ")
    assert "; without attention, hat_no_attention is ahead of hat_equal_weights (+20.0 points " in consensus
    assert said.endswith("better in 3, equal in 0, worse in 0). 1 of 13 runs failed and are left out.")


def test_what_consensus_earns_is_not_put_down_to_attention(runs):
    helped, plain = [0.9, 0.8], [0.5, 0.4]
    rows = runs(
        {
            ("hat", "all"): helped,
            ("hat_no_attention", "all"): helped,
            ("hat_no_consensus", "all"): plain,
            ("hat_equal_weights", "all"): plain,
        }
    )
    attention, consensus = Mixer().finding(rows).split(" Consensus: ")
    assert attention.count("+0.0 points") == 2
    assert consensus.count("+40.0 points") == 2


def test_each_comparison_changes_one_part_alone():
    pairs = [pair for cases in WORTH.values() for pair in cases.values()]
    assert {method for pair in pairs for method in pair} == set(METHODS)
    assert ("hat", "hat_equal_weights") not in pairs


def test_a_point_a_pair(runs):
    rows = runs(
        {
            ("hat", "all"): [0.9, 0.6],
            ("hat_no_attention", "all"): [0.5, 0.7, 0.8],
            ("hat_no_consensus", "all"): [0.4, 0.3],
            ("hat_equal_weights", "all"): [0.2, 0.1],
        }
    )
    attention, consensus = Mixer().figure(rows, "here").axes

    def drawn(axes):
        lines = [line for line in axes.get_lines() if line.get_label() != "equal"]
        return [[list(map(round, place)) for place in line.get_xydata()] for line in lines]

    assert drawn(attention) == [[[50, 90], [70, 60]], [[20, 40], [10, 30]]]
    assert drawn(consensus) == [[[40, 90], [30, 60]], [[20, 50], [10, 70]]]


def test_without_a_pair(runs):
    said = Mixer().finding(runs({("hat", "all"): [0.9]}))
    assert said.startswith("Attention: with consensus, no pair of runs compares hat with hat_no_attention; ")
    Mixer().figure(runs({("hat", "all"): [0.9]}), "here")
