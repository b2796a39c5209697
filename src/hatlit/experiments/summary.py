"""What many runs say together: means, intervals, pairs and ranks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from hatlit.methods.base import METHODS
from hatlit.selection.traffic import STAGES

#: The method that the others are measured against, pair by pair, where it takes part; else the first one.
REFERENCE = "hat"

#: What is averaged; all but ``nll`` are shares in [0, 1].
SCORES = ("accuracy", "balanced_accuracy", "macro_f1", "nll", "calibration_error")

#: Between these two lies the gap that a method can close.
FLOOR, CEILING = "labels_only", "all_labels"

#: Resamplings behind each interval; its ends are among the outermost thousandths.
RESAMPLINGS = 10_000

#: With fewer targets nothing is decided: of four, all point the same way by chance once in eight times.
FEWEST_TARGETS = 5

TOO_FEW = "undecided, on too few targets, against"

#: How the reference can stand, in the order in which it is told.
VERDICTS = ("ahead of", "behind", "undecided against", TOO_FEW)

#: What a run costs.
COSTS = ("bytes", "bytes_by_stage", "training_seconds", "peak_memory_bytes", "student_bytes")

Row = Mapping[str, Any]


def summarise(rows: Sequence[Row]) -> dict[str, Any]:
    """Describes every method of a comparison.

    Intervals resample whole targets, because runs of one target resemble one another whatever the seed.

    Args:
        rows: one a run, as in ``results.csv``; those that failed have a reason under ``failed``.

    Returns:
        ``reference``, the critical differences, ``longest_preparation_seconds`` (median over targets and seeds) and,
        by name, ``methods``: ``n`` finished and ``failed`` runs, whether it is an oracle or needs the recordings
        of the sources' domains, mean and 95 % interval of every score, mean ``bytes`` moved and ``bytes_by_stage``,
        median ``training_seconds``, median ``peak_memory_bytes``, mean ``student_bytes`` (all None where no run
        finished), the ranks of ``_ranks``, ``against_reference`` (pairs of the same target and seed) and
        ``gap_closed``, the share of the way from ``labels_only`` to ``all_labels``.
    """
    names = list(dict.fromkeys(row["method"] for row in rows))
    finished = {name: [row for row in rows if row["method"] == name and not row["failed"]] for name in names}
    done = [name for name in names if finished[name]]
    reference = REFERENCE if REFERENCE in done else done[0]
    ranks, critical = _ranks(finished)
    ends = [finished.get(end, []) for end in (FLOOR, CEILING)]
    methods = {
        name: {
            "n": len(finished[name]),
            "failed": sum(row["method"] == name and bool(row["failed"]) for row in rows),
            "is_oracle": is_oracle(name),
            "needs_source_data": name in METHODS.names() and METHODS.get(name).needs_source_data,
            **_described(finished[name]),
            **{kind: of_kind.get(name) for kind, of_kind in ranks.items()},
            "against_reference": None if name == reference else against(finished[reference], finished[name]),
            "gap_closed": _gap_closed(finished[name], *ends),
        }
        for name in names
    }
    longest = _longest_preparation([row for name in names for row in finished[name]])
    return {"reference": reference, **critical, "longest_preparation_seconds": longest, "methods": methods}


def is_oracle(method: str) -> bool:
    """Whether a method knows what none could know."""
    return method in METHODS.names() and METHODS.get(method).is_oracle


def is_variant(method: str) -> bool:
    """Whether a method is HaT with something changed."""
    return method.startswith(f"{REFERENCE}_")


def marked(name: str, one: Mapping[str, Any]) -> str:
    """A method's name, with what keeps it from being used in practice."""
    if one["is_oracle"]:
        return f"{name} (oracle)"
    return f"{name} (source recordings)" if one["needs_source_data"] else name


def interval(values: Sequence[float], targets: Sequence[str]) -> dict[str, Any]:
    """Mean of values with a 95 % bootstrap interval that resamples whole targets, always with the same random numbers.

    The plain percentiles are far too sure of few targets, so they are taken further out (Hesterberg 2015, "What
    Teachers Should Know About the Bootstrap"): of n targets the share Φ(-√(n / (n - 1)) t) is cut off at either end,
    with t the 97.5 % quantile of Student's distribution with n - 1 degrees of freedom. The fewer targets, the less that
    helps: no resampling leaves the range of what was seen.

    Args:
        values: one a run.
        targets: the target of each.

    Returns:
        ``mean``, ``low`` and ``high``; the last two are None for a single target, which says nothing about others.
    """
    sample = np.asarray(values, dtype=np.float64)
    _, place = np.unique(np.asarray(targets), return_inverse=True)
    sums, counts = np.bincount(place, sample), np.bincount(place)
    if len(counts) < 2:
        return {"mean": float(sample.mean()), "low": None, "high": None}
    drawn, tail = _drawn(len(counts)), 100 * _cut_off(len(counts))
    low, high = np.percentile(sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1), [tail, 100 - tail])
    return {"mean": float(sample.mean()), "low": float(low), "high": float(high)}


def sign_of(difference: Mapping[str, Any]) -> int:
    """1 or -1 where the whole interval of a difference lies on that side of zero, 0 where that is undecided."""
    if difference["low"] is None:
        return 0
    return int(difference["low"] > 0) - int(difference["high"] < 0)


def against(reference: Sequence[Row], others: Sequence[Row]) -> dict[str, Any] | None:
    """How far the reference is ahead in accuracy, over the pairs of the same target and seed; None without a pair."""
    known = {(row["target"], row["seed"]): row["accuracy"] for row in reference}
    pairs = [(row, known[row["target"], row["seed"]]) for row in others if (row["target"], row["seed"]) in known]
    if not pairs:
        return None
    ahead = np.array([theirs - row["accuracy"] for row, theirs in pairs])
    return {
        "difference": interval(ahead.tolist(), [row["target"] for row, _ in pairs]),
        "wins": int((ahead > 0).sum()),
        "ties": int((ahead == 0).sum()),
        "losses": int((ahead < 0).sum()),
        "targets": len({row["target"] for row, _ in pairs}),
    }


def average_ranks(finished: Mapping[str, Sequence[Row]]) -> tuple[dict[str, float], float | None]:
    """Ranks methods on each target by mean accuracy (1 is best, ties share), and averages over targets.

    Returns:
        The average rank of each method over the targets on which all of them finished, and the critical difference of
        Nemenyi's test at 5 %, q √(k (k + 1) / 6N) (Demšar 2006); None with fewer than two methods or three targets.
    """
    from scipy.stats import rankdata, studentized_range

    if not finished:
        return {}, None
    targets = sorted(set.intersection(*({row["target"] for row in rows} for rows in finished.values())))
    if not targets:
        return {}, None
    means = [
        [np.mean([row["accuracy"] for row in rows if row["target"] == target]) for rows in finished.values()]
        for target in targets
    ]
    ranks = rankdata(-np.round(means, 12), axis=1).mean(axis=0)
    by_name = dict(zip(finished, map(float, ranks), strict=True))
    count = len(finished)
    if count < 2 or len(targets) < 3:
        return by_name, None
    quantile = studentized_range.ppf(0.95, count, np.inf) / np.sqrt(2)
    return by_name, float(quantile * np.sqrt(count * (count + 1) / (6 * len(targets))))


def preparation(summary: Mapping[str, Any]) -> str:
    """What training seconds leave out, in a sentence."""
    return (
        "What comes before training, such as adapting sources to the labels, is shared by the methods that need it: it "
        f"took {summary['longest_preparation_seconds']:.1f} s a target and seed (median) where it took longest."
    )


def finding(summary: Mapping[str, Any]) -> str:
    """On where the reference stands, and which methods have no rank.

    Undecided is what has zero inside its interval, and all that rests on fewer than ``FEWEST_TARGETS`` targets.
    """
    verdicts: dict[str, list[str]] = {}
    for method, one in summary["methods"].items():
        if one["against_reference"] is None:
            continue
        oracle = ", an oracle" if one["is_oracle"] else ""
        lead = f"{method} ({100 * one['against_reference']['difference']['mean']:+.1f} points{oracle})"
        verdicts.setdefault(_verdict(one["against_reference"]), []).append(lead)
    parts = [f"{verdict} {', '.join(verdicts[verdict])}" for verdict in VERDICTS if verdict in verdicts]
    words = [f"{summary['reference']} is {'; '.join(parts)}."] if parts else []
    without = [name for name, one in summary["methods"].items() if one["failed"] and not _has_rank(one)]
    if without:
        words.append(f"Without a rank, because runs failed: {', '.join(without)}.")
    return " ".join(words)


def best_first(summary: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """The methods by accuracy; the more runs of one failed, the further down, for its mean is one of other runs."""
    return sorted(summary["methods"].items(), key=lambda item: (item[1]["failed"], -(item[1]["accuracy"]["mean"] or 0)))


def summary_table(summary: Mapping[str, Any]) -> list[dict[str, str]]:
    """The closing table: a row a method, best first."""
    ranked = best_first(summary)
    has_variants = any(one["rank_among_variants"] for _, one in ranked)
    return [
        {
            "method": marked(name, one),
            "runs": runs_of(one),
            "accuracy": percent(one["accuracy"]),
            "macro F1": _number(one["macro_f1"]["mean"], 100, 1),
            "NLL": _number(one["nll"]["mean"], 1, 2),
            "ECE": _number(one["calibration_error"]["mean"], 100, 1),
            f"{summary['reference']} ahead by": _lead(one["against_reference"]),
            "rank": _number(one["average_rank"], 1, 1),
            **({"rank among variants": _number(one["rank_among_variants"], 1, 1)} if has_variants else {}),
            "gap closed": "-" if one["gap_closed"] is None else f"{100 * one['gap_closed']:.0f} %",
            "kB moved": _number(one["bytes"], 1e-3, 0),
            "training seconds": _number(one["training_seconds"], 1, 1),
        }
        for name, one in ranked
    ]


def runs_of(one: Mapping[str, Any]) -> str:
    """How many runs of a method finished, and of how many, where some failed."""
    return f"{one['n']} of {one['n'] + one['failed']}" if one["failed"] else str(one["n"])


def percent(one: Mapping[str, Any]) -> str:
    """A mean with its interval, in percent; a dash stands for what is not known."""
    if one["mean"] is None:
        return "-"
    return spelled(one, ".1f", 100)


def spelled(one: Mapping[str, Any], form: str, scale: float = 1, unit: str = "") -> str:
    """A mean, in a unit, and its interval in brackets; a dash stands for the ends where there is a single target.

    Args:
        one: mean and ends.
        form: of the numbers, as in an f-string.
        scale: what they are multiplied by.
        unit: follows the mean.
    """
    known = one["low"] is not None
    ends = ", ".join(f"{scale * one[end]:{form}}" for end in ("low", "high")) if known else "-"
    return f"{scale * one['mean']:{form}}{unit} [{ends}]"


@lru_cache(maxsize=8)
def _drawn(count: int) -> np.ndarray:
    """Which targets each resampling draws: (RESAMPLINGS, count)."""
    return np.random.default_rng(0).integers(0, count, (RESAMPLINGS, count))


def _cut_off(count: int) -> float:
    """The share of resamplings beyond either end of the interval over so many targets, two or more."""
    from scipy.special import ndtr, stdtrit

    return float(ndtr(-np.sqrt(count / (count - 1)) * stdtrit(count - 1, 0.975)))


def _ranks(finished: Mapping[str, Sequence[Row]]) -> tuple[dict[str, dict[str, float]], dict[str, float | None]]:
    """Ranks by kind, then by method: HaT among its rivals, and among its variants, of which there are so many that in
    one ranking they would hide how the rivals differ.

    A method has a rank where it finished every run that any method finished: what fails on the hard targets must not
    look good, nor take those targets away from others. Oracles have none.

    Returns:
        ``average_rank`` and ``rank_among_variants``, and the critical difference of each.
    """
    runs = {name: {(row["target"], row["seed"]) for row in rows} for name, rows in finished.items()}
    everything = set().union(*runs.values())
    ranked = {name: rows for name, rows in finished.items() if runs[name] == everything and not is_oracle(name)}
    rivals = {name: rows for name, rows in ranked.items() if not is_variant(name)}
    variants = {name: rows for name, rows in ranked.items() if is_variant(name) or name == REFERENCE}
    own, critical = average_ranks(rivals)
    among, critical_among = average_ranks(variants if len(variants) > 1 else {})
    return {"average_rank": own, "rank_among_variants": among}, {
        "critical_difference": critical,
        "critical_difference_among_variants": critical_among,
    }


def _has_rank(one: Mapping[str, Any]) -> bool:
    return one["is_oracle"] or one["average_rank"] is not None or one["rank_among_variants"] is not None


def _verdict(lead: Mapping[str, Any]) -> str:
    if lead["targets"] < FEWEST_TARGETS:
        return TOO_FEW
    return {1: "ahead of", -1: "behind", 0: "undecided against"}[sign_of(lead["difference"])]


def _described(rows: Sequence[Row]) -> dict[str, Any]:
    if not rows:
        return {**{score: dict.fromkeys(("mean", "low", "high")) for score in SCORES}, **dict.fromkeys(COSTS)}
    targets = [row["target"] for row in rows]
    return {
        **{score: interval([row[score] for row in rows], targets) for score in SCORES},
        "bytes": float(np.mean([row["bytes"] for row in rows])),
        "bytes_by_stage": {one: float(np.mean([row[f"bytes_{one}"] for row in rows])) for one in STAGES},
        "training_seconds": float(np.median([row["training_seconds"] for row in rows])),
        "peak_memory_bytes": float(np.median([row["peak_memory_bytes"] for row in rows])),
        "student_bytes": float(np.mean([row["student_bytes"] for row in rows])),
    }


def _longest_preparation(rows: Sequence[Row]) -> float:
    """Methods share adapted sources and experts, and the run that comes first makes them: it shows what they cost."""
    longest: dict[tuple[str, int], float] = {}
    for row in rows:
        pair = row["target"], row["seed"]
        longest[pair] = max(longest.get(pair, 0.0), row["preparation_seconds"])
    return float(np.median(list(longest.values())))


def _gap_closed(rows: Sequence[Row], *ends: Sequence[Row]) -> float | None:
    """Over the targets and seeds that all three finished, so that failing on a hard target is no gain."""
    known = [{(row["target"], row["seed"]): row["accuracy"] for row in several} for several in (rows, *ends)]
    common = sorted(set.intersection(*map(set, known)))
    if not common:
        return None
    accuracy, floor, ceiling = (np.mean([one[pair] for pair in common]) for one in known)
    return float((accuracy - floor) / (ceiling - floor)) if ceiling > floor else None


def _lead(one: Mapping[str, Any] | None) -> str:
    return "-" if one is None else percent(one["difference"])


def _number(value: float | None, scale: float, digits: int) -> str:
    return "-" if value is None else f"{scale * value:.{digits}f}"
