"""All comparisons at a glance: HaT beside the best of the others, and which one method serves best everywhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hatlit.experiments.report.document import Table
from hatlit.experiments.summary import interval, percent
from hatlit.methods.base import METHODS
from sections import Section

#: What HaT is set beside, as ``is_rival`` has it.
RIVALS = """Best other: without oracles, `dann` (needs source recordings) and HaT's own variants. It is picked
afterwards, by the very test parts, from as many as were run, so luck is on its side; nobody could have chosen it
beforehand."""

#: How the methods are set side by side over all data sets.
ONE_FOR_ALL = """## One method for all

A new user's test part does not exist yet, so a method is chosen before anything is known of the data. Here each set of
recordings counts once, however often it was compared; "rank" is 1 for the most accurate of the methods in the table,
"behind the best" in points, the best being another one on each set; "hat ahead by" has a 95 % interval that resamples
sets."""

#: What is said of sets that came after all choices.
UNSEEN = """## Sets that nothing was chosen on

HaT's parts and defaults were chosen while looking at the sets above. These were put together afterwards, run when
defaults had changed, and decided nothing. The same eight people do the same 13 actions in all of them, and had done so
in two of the sets above, so they are no five independent witnesses."""

#: The literal reading is no variant that lacks a part, but what anyone else would build.
PUBLISHED = "hat_paper"

#: Places in words.
ORDINALS = ["first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth"]


def overview(summaries: Mapping[Section, list[dict[str, Any]]]) -> str:
    """One row a comparison: HaT, the best of the others, and where HaT loses."""
    compared = beside_the_best(summaries)
    return f"## All at a glance\n\n{RIVALS}\n\n{compared}\n" if compared else ""


def confirmation(summaries: Mapping[Section, list[dict[str, Any]]]) -> str:
    """The same, and each method over all sets, for sets that nothing was chosen on; nothing where there are none."""
    compared = beside_the_best(summaries)
    return "\n\n".join([UNSEEN, compared, *side_by_side(summaries)]) + "\n" if compared else ""


def beside_the_best(summaries: Mapping[Section, list[dict[str, Any]]]) -> str:
    """One row a comparison and a verdict, nothing where HaT was not run."""
    rows, lost, lost_to_students = [], [], []
    for section, several in summaries.items():
        for summary in several:
            methods = summary["methods"]
            if "hat" not in methods:
                continue
            where = f"{section.title.split(' (')[0]} ({summary['labels']})"
            best, student = best_rival(methods), best_rival(methods, leaves="student")
            floor = methods.get("labels_only")
            rows.append(
                {
                    "data": section.title.split(" (")[0],
                    "labels": summary["labels"],
                    "labels_only": percent(floor["accuracy"]) if floor else "-",
                    "hat": percent(methods["hat"]["accuracy"]),
                    "best other": score_of(best, methods),
                    "hat ahead of it by": lead_over(best, methods),
                    "best other student": score_of(student, methods),
                    "hat ahead of that by": lead_over(student, methods),
                }
            )
            lost += [where] if lead_over(best, methods).startswith("-") and best else []
            lost_to_students += [where] if lead_over(student, methods).startswith("-") and student else []
    if not rows:
        return ""
    verdict = (
        f"HaT is at or above the best other method in {len(rows) - len(lost)} of {len(rows)} comparisons{_but(lost)}. "
        "An ensemble asks all sources on the device, and a fine-tuned source is as large as it was; among methods that "
        "leave a student of the same size HaT is at or above the best other in "
        f"{len(rows) - len(lost_to_students)} of {len(rows)}{_but(lost_to_students)}."
    )
    return f"{Table(rows).markdown()}\n\n{verdict}"


def best_rival(methods: Mapping[str, Any], leaves: str = "") -> str | None:
    """The most accurate of the methods that could take HaT's place, or of those that leave one kind of model."""
    rivals = [
        name
        for name, one in methods.items()
        if is_rival(name, one) and (not leaves or METHODS.get(name).leaves == leaves)
    ]
    return max(rivals, key=lambda name: methods[name]["accuracy"]["mean"], default=None)


def score_of(method: str | None, methods: Mapping[str, Any]) -> str:
    """A method and its accuracy, as a table shows them."""
    return f"{method} {percent(methods[method]['accuracy'])}" if method else "-"


def lead_over(method: str | None, methods: Mapping[str, Any]) -> str:
    """How far HaT is ahead of a method, as a table shows it."""
    return percent(methods[method]["against_reference"]["difference"]) if method else "-"


def _but(lost: Sequence[str]) -> str:
    return f", behind on {'; '.join(lost)}" if lost else ""


def is_rival(name: str, one: Mapping[str, Any]) -> bool:
    """Whether a method is one that a company could use in place of HaT."""
    is_other = one["n"] and not name.startswith("hat")
    return bool(is_other) and not (one["is_oracle"] or METHODS.get(name).needs_source_data)


def one_for_all(summaries: Mapping[Section, list[dict[str, Any]]]) -> str:
    """How each method does over all sets of recordings; nothing where HaT was not run on any."""
    parts = side_by_side(summaries)
    return "\n\n".join([ONE_FOR_ALL, *parts]) + "\n" if parts else ""


def side_by_side(summaries: Mapping[Section, list[dict[str, Any]]]) -> list[str]:
    """A table of the methods that were run on all sets of recordings; where there are sets on which more were run, one
    of those; none where HaT was not run."""
    sets = {section: several for section, several in summaries.items() if section.file}
    complete = {
        section: kept
        for section, several in sets.items()
        if (kept := [summary for summary in several if not summary["missing"]])
    }
    asked = [sets, complete] if len(_choices(complete)) > len(_choices(sets)) else [sets]
    return list(filter(None, map(_side_by_side, asked)))


def _choices(sets: Mapping[Section, Sequence[Mapping[str, Any]]]) -> list[str]:
    """HaT and all that could take its place, as far as they were run in all of these comparisons."""
    every = [summary["methods"] for several in sets.values() for summary in several]
    return [name for name in (every[0] if every else ()) if all(_is_choice(name, methods) for methods in every)]


def _side_by_side(sets: Mapping[Section, Sequence[Mapping[str, Any]]]) -> str:
    """One row a method that was run in all of these comparisons, the most accurate first, and where HaT stands."""
    every = [summary["methods"] for several in sets.values() for summary in several]
    names = _choices(sets)
    if "hat" not in names or len(names) == 1:
        return ""
    reached = np.array([[_accuracy(name, several) for several in sets.values()] for name in names])
    ours = names.index("hat")
    scores = {
        "accuracy": reached.mean(1),
        "rank": (1 + (reached[None] > reached[:, None]).sum(1)).mean(1),
        "behind the best": (reached.max(0) - reached).mean(1),
        "at most": (reached.max(0) - reached).max(1),
    }
    rows = [
        {"method": names[one], "leaves": METHODS.get(names[one]).leaves}
        | {name: f"{score[one]:.1f}" for name, score in scores.items()}
        | {"hat ahead by": "-" if one == ours else _lead(reached[ours] - reached[one], sets)}
        for one in np.argsort(-scores["accuracy"], kind="stable")
    ]
    titles = [section.title.split(" (")[0] for section in sets]
    where = f"All {len(names)} methods that were run on {'; '.join(titles)}:"
    aside = [
        f"`{name}`, which needs the recordings of the sources' owners, has {_over(name, sets):.1f}."
        for name in every[0]
        if METHODS.get(name).needs_source_data and all(name in methods and methods[name]["n"] for methods in every)
    ]
    return "\n\n".join([where, Table(rows).markdown(), " ".join([_verdict(names, scores), *aside])])


def _over(name: str, sets: Mapping[Section, Sequence[Mapping[str, Any]]]) -> float:
    return float(np.mean([_accuracy(name, several) for several in sets.values()]))


def _is_choice(name: str, methods: Mapping[str, Any]) -> bool:
    return name in methods and (name in ("hat", PUBLISHED) or is_rival(name, methods[name]))


def _accuracy(name: str, several: Sequence[Mapping[str, Any]]) -> float:
    """Mean accuracy in percent of a method on one set, over how many labels there are."""
    return 100 * float(np.mean([summary["methods"][name]["accuracy"]["mean"] for summary in several]))


def _lead(differences: Any, sets: Mapping[Section, Any]) -> str:
    return percent(interval((differences / 100).tolist(), [section.name for section in sets]))


def _verdict(names: Sequence[str], scores: Mapping[str, Any]) -> str:
    """Where HaT stands, in a sentence."""
    others = [number for number, name in enumerate(names) if name != "hat"]
    ours = names.index("hat")
    next_best = max(others, key=lambda number: scores["accuracy"][number])
    ahead = scores["accuracy"][ours] - scores["accuracy"][next_best]
    place = 1 + int((scores["rank"][others] < scores["rank"][ours]).sum())
    return (
        f"By mean accuracy HaT is {abs(ahead):.1f} points {'ahead of' if ahead >= 0 else 'behind'} "
        f"`{names[next_best]}`, the best of the others; by rank it comes {_ordinal(place)} of {len(names)}."
    )


def _ordinal(place: int) -> str:
    """First, second, and so on, in words up to ten."""
    if place <= len(ORDINALS):
        return ORDINALS[place - 1]
    ending = "th" if place % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(place % 10, "th")
    return f"{place}{ending}"
