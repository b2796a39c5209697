"""What many runs say together: means, intervals, pairs and ranks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hatlit.methods.base import METHODS

#: The method that the others are measured against, pair by pair, where it takes part; else the first one.
REFERENCE = "hat"

#: What is averaged; all but ``nll`` are shares in [0, 1].
SCORES = ("accuracy", "balanced_accuracy", "macro_f1", "nll", "calibration_error")

#: Between these two lies the gap that a method can close.
FLOOR, CEILING = "labels_only", "all_labels"

#: Resamplings behind each interval.
RESAMPLINGS = 2000

Row = Mapping[str, Any]


def summarise(rows: Sequence[Row]) -> dict[str, Any]:
    """Describes every method of a comparison.

    Intervals resample whole targets, because runs of one target resemble one another whatever the seed.

    Args:
        rows: one a run, as in ``results.csv``; those that failed have a reason under ``failed``.

    Returns:
        ``reference``, ``critical_difference`` and, by name, ``methods``: ``n`` finished and ``failed`` runs, whether
        it is an oracle or needs the recordings of the sources' domains, mean and 95 % interval of every score, mean
        ``bytes`` moved, median ``training_seconds``, largest ``peak_memory_bytes``, mean ``student_bytes``,
        ``average_rank`` over the targets, ``against_reference`` (pairs of the same target and seed) and ``gap_closed``,
        the share of the way from ``labels_only`` to ``all_labels``.
    """
    names = list(dict.fromkeys(row["method"] for row in rows))
    finished = {name: [row for row in rows if row["method"] == name and not row["failed"]] for name in names}
    done = [name for name in names if finished[name]]
    reference = REFERENCE if REFERENCE in done else done[0]
    ranks, critical = average_ranks({name: finished[name] for name in done if not is_oracle(name)})
    ends = [finished.get(end, []) for end in (FLOOR, CEILING)]
    methods = {
        name: {
            "n": len(finished[name]),
            "failed": sum(row["method"] == name and bool(row["failed"]) for row in rows),
            "is_oracle": is_oracle(name),
            "needs_source_data": name in METHODS.names() and METHODS.get(name).needs_source_data,
            **_described(finished[name]),
            "average_rank": ranks.get(name),
            "against_reference": None if name == reference else against(finished[reference], finished[name]),
            "gap_closed": _gap_closed(finished[name], *ends),
        }
        for name in done
    }
    return {"reference": reference, "critical_difference": critical, "methods": methods}


def is_oracle(method: str) -> bool:
    """Whether a method knows what none could know."""
    return method in METHODS.names() and METHODS.get(method).is_oracle


def marked(name: str, one: Mapping[str, Any]) -> str:
    """A method's name, with what keeps it from being used in practice."""
    if one["is_oracle"]:
        return f"{name} (oracle)"
    return f"{name} (source recordings)" if one["needs_source_data"] else name


def interval(values: Sequence[float], targets: Sequence[str]) -> dict[str, float]:
    """Mean of values with a 95 % bootstrap interval that resamples whole targets, always with the same random numbers.

    Args:
        values: one a run.
        targets: the target of each.
    """
    sample = np.asarray(values, dtype=np.float64)
    _, place = np.unique(np.asarray(targets), return_inverse=True)
    sums, counts = np.bincount(place, sample), np.bincount(place)
    drawn = np.random.default_rng(0).integers(0, len(counts), (RESAMPLINGS, len(counts)))
    low, high = np.percentile(sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1), [2.5, 97.5])
    return {"mean": float(sample.mean()), "low": float(low), "high": float(high)}


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


def finding(summary: Mapping[str, Any]) -> str:
    """One sentence on where the reference stands.

    Undecided is what has zero inside its interval, and all that rests on a single target, whose interval has no width.
    """
    verdicts: dict[str, list[str]] = {"ahead of": [], "behind": [], "undecided against": []}
    for method, one in summary["methods"].items():
        if one["against_reference"] is None:
            continue
        lead = one["against_reference"]["difference"]
        verdict = "ahead of" if lead["low"] > 0 else "behind" if lead["high"] < 0 else "undecided against"
        if one["against_reference"]["targets"] < 2:
            verdict = "undecided against"
        oracle = ", an oracle" if one["is_oracle"] else ""
        verdicts[verdict].append(f"{method} ({100 * lead['mean']:+.1f} points{oracle})")
    parts = [f"{verdict} {', '.join(methods)}" for verdict, methods in verdicts.items() if methods]
    return f"{summary['reference']} is {'; '.join(parts)}." if parts else ""


def summary_table(summary: Mapping[str, Any]) -> list[dict[str, str]]:
    """The closing table: a row a method, best first."""
    ranked = sorted(summary["methods"].items(), key=lambda item: -item[1]["accuracy"]["mean"])
    return [
        {
            "method": marked(name, one),
            "runs": str(one["n"]),
            "accuracy": percent(one["accuracy"]),
            "macro F1": f"{100 * one['macro_f1']['mean']:.1f}",
            "NLL": f"{one['nll']['mean']:.2f}",
            "ECE": f"{100 * one['calibration_error']['mean']:.1f}",
            f"{summary['reference']} ahead by": _lead(one["against_reference"]),
            "rank": f"{one['average_rank']:.1f}" if one["average_rank"] else "-",
            "gap closed": "-" if one["gap_closed"] is None else f"{100 * one['gap_closed']:.0f} %",
            "kB moved": f"{one['bytes'] / 1000:.0f}",
            "seconds": f"{one['training_seconds']:.1f}",
        }
        for name, one in ranked
    ]


def percent(one: Mapping[str, float]) -> str:
    """A mean with its interval, in percent."""
    return f"{100 * one['mean']:.1f} [{100 * one['low']:.1f}, {100 * one['high']:.1f}]"


def _described(rows: Sequence[Row]) -> dict[str, Any]:
    targets = [row["target"] for row in rows]
    return {
        **{score: interval([row[score] for row in rows], targets) for score in SCORES},
        "bytes": float(np.mean([row["bytes"] for row in rows])),
        "training_seconds": float(np.median([row["training_seconds"] for row in rows])),
        "peak_memory_bytes": float(np.max([row["peak_memory_bytes"] for row in rows])),
        "student_bytes": float(np.mean([row["student_bytes"] for row in rows])),
    }


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
