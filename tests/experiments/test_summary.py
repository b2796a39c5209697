"""The arithmetic of a comparison, by hand."""

import numpy as np
import pytest

from hatlit.experiments.summary import (
    _cut_off,
    average_ranks,
    finding,
    interval,
    percent,
    preparation,
    sign_of,
    summarise,
    summary_table,
)


def test_a_single_target_has_no_interval():
    assert interval([0.3], ["ann"]) == {"mean": 0.3, "low": None, "high": None}
    assert percent(interval([0.3], ["ann"])) == "30.0 [-]"
    assert sign_of(interval([0.3], ["ann"])) == 0


def test_the_interval_of_equal_values_has_no_width():
    assert interval([0.5] * 4, ["ann", "ann", "bob", "cid"]) == {"mean": 0.5, "low": 0.5, "high": 0.5}


def test_the_interval_of_two_targets_spans_both():
    # Of two targets drawn with replacement, the mean is the lower one, the middle, or the upper one: 1/4, 1/2, 1/4.
    assert interval([0.0, 1.0], ["ann", "bob"]) == {"mean": 0.5, "low": 0.0, "high": 1.0}


def test_targets_are_drawn_whole():
    """Seeds of one target resemble one another, so more of them make no interval narrower."""
    assert interval([0.0, 1.0], ["ann", "ann"]) == {"mean": 0.5, "low": None, "high": None}
    assert interval([0.0, 0.0, 1.0, 1.0], ["ann", "ann", "bob", "bob"]) == {"mean": 0.5, "low": 0.0, "high": 1.0}


def test_targets_with_more_runs_count_more():
    # Drawn twice: ann alone 0, bob alone 1, both (0 + 0 + 0 + 1) / 4.
    assert interval([0.0, 0.0, 0.0, 1.0], ["ann", "ann", "ann", "bob"]) == {"mean": 0.25, "low": 0.0, "high": 1.0}


def test_the_interval_is_about_two_standard_errors_wide_on_either_side():
    values = np.random.default_rng(1).normal(0.7, 0.1, 400)
    targets = [str(number) for number in range(400)]
    found = interval(values, targets)
    error = values.std() / np.sqrt(len(values))
    assert found["mean"] == pytest.approx(values.mean())
    assert found["low"] == pytest.approx(values.mean() - 1.96 * error, abs=0.3 * error)
    assert found["high"] == pytest.approx(values.mean() + 1.96 * error, abs=0.3 * error)
    assert interval(values, targets) == found, "the same values always give the same interval"


@pytest.mark.parametrize(("count", "share"), [(5, 0.00095), (10, 0.00855), (1000, 0.0248)])
def test_ends_are_taken_further_out_for_few_targets(count, share):
    """Φ(-√(5/4) · 2.7764), Φ(-√(10/9) · 2.2622) and, of many, close to 2.5 %."""
    assert _cut_off(count) == pytest.approx(share, abs=5e-5)


def test_intervals_over_few_targets_miss_the_truth_about_as_often_as_they_say():
    """Plain percentiles miss it 12 times in a hundred with seven targets, and 19 with four."""
    random = np.random.default_rng(5)
    missed = {
        count: np.mean(
            [sign_of(interval(random.normal(size=count), list(map(str, range(count))))) != 0 for _ in range(400)]
        )
        for count in (5, 7)
    }
    assert missed[5] < 0.12
    assert missed[7] < 0.085


def row(method, target, seed, accuracy, sent=1000, seconds=2.0, failed=""):
    scores = {"accuracy": accuracy, "balanced_accuracy": accuracy / 2, "macro_f1": accuracy / 4}
    times = {"preparation_seconds": 10 * seconds, "training_seconds": seconds}
    stages = {"bytes_coarse": sent / 4, "bytes_fine": sent / 2, "bytes_transfer": sent / 4}
    costs = {"bytes": sent, **stages, **times, "peak_memory_bytes": 100 * sent, "student_bytes": 10}
    known = {**scores, "nll": 1 - accuracy, "calibration_error": 0.1, **costs}
    told = dict.fromkeys(known) if failed else known
    return {"method": method, "target": target, "seed": seed, **told, "failed": failed}


def test_the_finding_says_ahead_behind_or_undecided():
    def lead(low, mean, high, is_oracle=False, targets=5):
        return {
            "against_reference": {"difference": {"low": low, "mean": mean, "high": high}, "targets": targets},
            "is_oracle": is_oracle,
            "failed": 0,
        }

    methods = {
        "hat": {"against_reference": None, "failed": 0},
        "a": lead(0.01, 0.02, 0.03),
        "b": lead(-0.3, -0.2, -0.1, is_oracle=True),
        "c": lead(-0.1, 0.1, 0.3),
        "d": lead(0.1, 0.2, 0.3, targets=4),
    }
    assert finding({"methods": methods, "reference": "hat"}) == (
        "hat is ahead of a (+2.0 points); behind b (-20.0 points, an oracle); undecided against c (+10.0 points); "
        "undecided, on too few targets, against d (+20.0 points)."
    )
    assert finding({"methods": {"hat": methods["hat"]}, "reference": "hat"}) == ""


def test_methods_are_compared_pair_by_pair():
    rows = [
        row("hat", "ann", 0, 0.9),
        row("labels_only", "ann", 0, 0.5),
        row("hat", "cid", 0, 0.7),
        row("labels_only", "cid", 0, 0.6),
        row("labels_only", "bob", 0, 0.1),
        row("hat", "bob", 0, 0.9, failed="no memory"),  # so this pair cannot count
        row("hat", "bob", 1, 0.2),
        row("labels_only", "bob", 1, 0.9, failed="killed"),
    ]
    described = summarise(rows)["methods"]
    assert list(described) == ["hat", "labels_only"]
    assert described["labels_only"]["n"] == 3
    assert described["labels_only"]["accuracy"]["mean"] == pytest.approx(0.4)
    assert described["labels_only"]["balanced_accuracy"]["mean"] == pytest.approx(0.2)
    assert described["labels_only"]["macro_f1"]["mean"] == pytest.approx(0.1)
    assert (described["labels_only"]["failed"], described["hat"]["failed"]) == (1, 1)
    lead = described["labels_only"]["against_reference"]
    assert (lead["wins"], lead["ties"], lead["losses"]) == (2, 0, 0)
    ahead = lead["difference"]
    assert ahead["mean"] == pytest.approx((0.4 + 0.1) / 2)
    assert (ahead["low"], ahead["high"]) == (pytest.approx(0.1), pytest.approx(0.4))
    assert described["hat"]["against_reference"] is None


def test_bytes_are_a_mean_seconds_and_memory_a_median():
    rows = [
        row("hat", "ann", seed, 0.5, sent, seconds) for seed, (sent, seconds) in enumerate([(0, 1), (0, 2), (9, 60)])
    ]
    described = summarise(rows)["methods"]["hat"]
    assert described["bytes_by_stage"] == {"coarse": 0.75, "fine": 1.5, "transfer": 0.75}
    assert (described["bytes"], described["training_seconds"], described["peak_memory_bytes"]) == (3.0, 2.0, 0.0)


def test_what_methods_share_is_told_by_the_run_that_took_longest():
    rows = [
        *[row("hat", target, 0, 0.5, seconds=seconds) for target, seconds in (("ann", 1), ("bob", 2), ("cid", 0.1))],
        *[row("kd", target, 0, 0.5, seconds=seconds) for target, seconds in (("ann", 4), ("bob", 0.1), ("cid", 0.1))],
        row("kd", "dan", 0, 0.5, failed="lost"),
    ]
    summary = summarise(rows)
    assert summary["longest_preparation_seconds"] == 20, "the median of 40, 20 and 1"
    assert "took 20.0 s a target and seed" in preparation(summary)


def test_without_hat_the_first_method_is_the_reference():
    summary = summarise([row("labels_only", "ann", 0, 0.5), row("best_source", "ann", 0, 0.6)])
    assert summary["reference"] == "labels_only"
    assert summary["methods"]["best_source"]["against_reference"]["difference"]["mean"] == pytest.approx(-0.1)


def test_without_a_common_pair_nobody_is_ahead():
    described = summarise([row("hat", "ann", 0, 0.5), row("labels_only", "ann", 1, 0.6)])["methods"]
    assert described["labels_only"]["against_reference"] is None


def test_the_gap_lies_between_labels_only_and_all_labels():
    rows = [row("labels_only", "ann", 0, 0.4), row("hat", "ann", 0, 0.7), row("all_labels", "ann", 0, 0.8)]
    described = summarise(rows)["methods"]
    closed = {name: one["gap_closed"] for name, one in described.items()}
    assert closed == {"labels_only": 0.0, "hat": pytest.approx(0.75), "all_labels": 1.0}
    assert [one["is_oracle"] for one in described.values()] == [False, False, True]
    assert summarise(rows[:2])["methods"]["hat"]["gap_closed"] is None


def test_a_method_that_fails_on_a_hard_target_closes_no_more_of_the_gap():
    rows = [row(name, "easy", 0, value) for name, value in (("labels_only", 0.8), ("hat", 0.85), ("all_labels", 0.9))]
    rows += [row("labels_only", "hard", 0, 0.2), row("all_labels", "hard", 0, 0.5)]
    rows += [row("hat", "hard", 0, 0.0, failed="no memory")]
    assert summarise(rows)["methods"]["hat"]["gap_closed"] == pytest.approx(0.5)


def test_fewer_than_five_targets_decide_nothing():
    rows = [row(name, target, 0, value) for name, value in (("hat", 0.9), ("kd", 0.5)) for target in "abcde"]
    assert finding(summarise(rows)) == "hat is ahead of kd (+40.0 points)."
    few = [one for one in rows if one["target"] != "e"]
    assert finding(summarise(few)) == "hat is undecided, on too few targets, against kd (+40.0 points)."


def test_a_method_that_fails_in_all_its_runs_is_told_of():
    rows = [row("hat", "ann", 0, 0.5), row("kd", "ann", 0, 0.0, failed="no memory")]
    summary = summarise(rows)
    kd = summary["methods"]["kd"]
    assert (kd["n"], kd["failed"], kd["accuracy"]) == (0, 1, {"mean": None, "low": None, "high": None})
    assert (kd["training_seconds"], kd["bytes"], kd["average_rank"], kd["against_reference"]) == (None,) * 4
    shown = summary_table(summary)[-1]
    assert (shown["method"], shown["runs"], shown["accuracy"], shown["training seconds"]) == ("kd", "0 of 1", "-", "-")
    assert finding(summary) == "Without a rank, because runs failed: kd."


def test_a_method_that_fails_on_the_hard_target_neither_leads_nor_changes_the_ranks_of_others():
    accuracy = {"hat": (0.9, 0.8, 0.3), "labels_only": (0.5, 0.9, 0.2), "kd": (0.95, 0.9, 0.0)}
    rows = [
        row(name, target, 0, value, failed="" if value else "killed")
        for name, values in accuracy.items()
        for target, value in zip("abc", values, strict=True)
    ]
    summary = summarise(rows)
    table = summary_table(summary)
    assert [(one["method"], one["runs"], one["rank"]) for one in table] == [
        ("hat", "3", "1.3"),
        ("labels_only", "3", "1.7"),
        ("kd", "2 of 3", "-"),
    ]
    assert summary["critical_difference"] == summarise(rows[:6])["critical_difference"]
    assert finding(summary).endswith("Without a rank, because runs failed: kd.")


def test_a_target_on_which_everybody_fails_takes_no_rank_away():
    rows = [row(name, "ann", 0, value) for name, value in (("hat", 0.9), ("kd", 0.5))]
    rows += [row(name, "mute", 0, 0.0, failed="no label") for name in ("hat", "kd")]
    summary = summarise(rows)
    assert [one["average_rank"] for one in summary["methods"].values()] == [1.0, 2.0]
    assert "Without a rank" not in finding(summary)


def test_variants_of_hat_are_ranked_apart_from_its_rivals():
    accuracy = {"hat": 0.8, "hat_no_gate": 0.9, "kd": 0.85, "hat_paper": 0.1}
    rows = [row(name, target, 0, value) for name, value in accuracy.items() for target in "abc"]
    summary = summarise(rows)
    methods = summary["methods"]
    assert {name: one["average_rank"] for name, one in methods.items()} == {
        "hat": 2.0,
        "hat_no_gate": None,
        "kd": 1.0,
        "hat_paper": None,
    }
    assert {name: one["rank_among_variants"] for name, one in methods.items()} == {
        "hat": 2.0,
        "hat_no_gate": 1.0,
        "kd": None,
        "hat_paper": 3.0,
    }
    assert summary["critical_difference"] == pytest.approx(1.960 * np.sqrt(2 * 3 / (6 * 3)), abs=1e-3)
    assert summary["critical_difference_among_variants"] == pytest.approx(2.343 * np.sqrt(3 * 4 / (6 * 3)), abs=1e-3)
    assert [one["rank among variants"] for one in summary_table(summary)] == ["1.0", "-", "2.0", "3.0"]
    assert "rank among variants" not in summary_table(summarise([row("hat", "a", 0, 0.5)]))[0]


def test_ranks_by_hand_and_without_the_oracle():
    accuracy = {"hat": (0.9, 0.8, 0.7), "labels_only": (0.5, 0.8, 0.9), "all_labels": (1.0, 1.0, 1.0)}
    rows = [
        row(name, target, 0, value)
        for name, values in accuracy.items()
        for target, value in zip("abc", values, strict=True)
    ]
    summary = summarise(rows)
    # hat is first, shares first and second place, is second: (1 + 1.5 + 2) / 3.
    ranks = {name: one["average_rank"] for name, one in summary["methods"].items()}
    assert ranks == {"hat": pytest.approx(1.5), "labels_only": pytest.approx(1.5), "all_labels": None}
    # Two methods: q is 1.960 (Demsar 2006, table 5).
    assert summary["critical_difference"] == pytest.approx(1.960 * np.sqrt(2 * 3 / (6 * 3)), abs=1e-3)


def test_the_critical_difference_of_ten_methods_on_thirty_targets():
    rows = [row(f"m{n}", f"t{t}", 0, (n + t) % 10 / 10) for n in range(10) for t in range(30)]
    _, critical = average_ranks({f"m{n}": rows[30 * n : 30 * n + 30] for n in range(10)})
    assert critical == pytest.approx(3.164 * np.sqrt(10 * 11 / (6 * 30)), abs=1e-2)


def test_too_few_targets_have_no_critical_difference():
    assert summarise([row("hat", "ann", 0, 0.5), row("labels_only", "ann", 0, 0.4)])["critical_difference"] is None


def test_the_table_has_the_best_first():
    summary = summarise([row("labels_only", "ann", 0, 0.5), row("hat", "ann", 0, 0.75)])
    table = summary_table(summary)
    assert [one["method"] for one in table] == ["hat", "labels_only"]
    assert table[0]["accuracy"] == "75.0 [-]"
    assert (table[0]["hat ahead by"], table[1]["hat ahead by"]) == ("-", "25.0 [-]")
    assert (table[0]["kB moved"], table[0]["runs"], table[0]["rank"]) == ("1", "1", "1.0")
    assert table[0]["training seconds"] == "2.0"
