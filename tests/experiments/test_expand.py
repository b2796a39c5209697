"""A fleet that grows: who teaches whom, going on after an interruption, and what makes no difference."""

import csv
import json
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from hatlit.config import (
    AdaptConfig,
    DataConfig,
    DeviceConfig,
    ExpandConfig,
    ExpertsConfig,
    HaTConfig,
    LabelsConfig,
    SelectionConfig,
    SourcesConfig,
    TrainerConfig,
)
from hatlit.datamodules.base import DomainSet
from hatlit.errors import InputError
from hatlit.experiments import executors, pool, prepare
from hatlit.experiments import expand as module
from hatlit.experiments.expand import expand, plan_rounds
from hatlit.experiments.fleet import build_zoo
from hatlit.registry import load_plugin
from hatlit.zoo.card import Provenance
from hatlit.zoo.pairs import Pair
from hatlit.zoo.store import Zoo

NAMES = ("ann", "bob", "cid", "dot", "eve", "fay")

#: What a row says that two runs of the same command may differ in.
OF_THE_CLOCK = ("training_seconds",)


@pytest.fixture(scope="module")
def six(make_domain):
    domains = tuple(make_domain(name, seed, rows=36) for seed, name in enumerate(NAMES))
    return DomainSet("arrays", "imu", domains, domains[0].class_names)


@pytest.fixture(scope="module")
def file(tmp_path_factory, six):
    """The six people in the bring-your-own layout, and a seventh who has no label."""
    path = tmp_path_factory.mktemp("data") / "six.npz"
    samples = [domain.samples for domain in six.domains]
    labels = [domain.labels for domain in six.domains]
    np.savez(
        path,
        x=np.concatenate([*samples, samples[0]]),
        y=np.concatenate([*labels, np.full(36, -1)]),
        domain=np.repeat(np.arange(7), 36),
        class_names=np.array(six.class_names),
        domain_names=np.array([*NAMES, "mute"]),
        sample_rate=np.array(16.0),
        channel_names=np.array(["x", "y", "z"]),
    )
    return path


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """One cache for all, so that the initial sources are trained once."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def options(tmp_path, file, cache, monkeypatch):
    """Returns a function that makes the options of a quick expansion, by default one whose students learn nothing."""
    monkeypatch.setenv("HATLIT_CACHE", str(cache))

    def make(**changes):
        quick = {
            "data": DataConfig("arrays", str(file)),
            "sources": SourcesConfig("cnn_nano", max_epochs=2),
            "trainer": TrainerConfig(max_epochs=2, accelerator="cpu"),
            "adapt": AdaptConfig(steps=1),
            "hat": HaTConfig(experts=ExpertsConfig(steps=2)),
            "selection": SelectionConfig(keep=1.0),
            "num_sources": 2,
            "initial": "2",
            "rounds": 2,
            "join": 2,
            "method": "best_source_zero_shot",
            "compare_labels_only": False,
            "jobs": 1,
            "out": str(tmp_path / "out"),
        }
        return ExpandConfig(**quick | changes)

    return make


def folder_of(out):
    (folder,) = Path(out).glob("expand-*")
    return folder


def rows_of(out, *without):
    """The rows of ``results.csv`` without what the clock makes different."""
    with (folder_of(out) / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    return [{key: value for key, value in row.items() if key not in (*OF_THE_CLOCK, *without)} for row in rows]


def state(folder):
    """When each file was written last; asking for a lock or for the index writes, too."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != ".lock"]
    return {path: path.stat().st_mtime_ns for path in files}


def test_a_fleet_grows(in_this_process, options, display, tmp_path):
    summary = expand(options(method="hat", compare_labels_only=True), display, ["--rounds", "2"])
    rows = rows_of(tmp_path / "out")
    folder = folder_of(tmp_path / "out")
    zoo = Zoo.open(folder / "zoo")
    initial = set(summary["initial"])
    assert len(initial) == 2 and len({row["target"] for row in rows} | initial) == 6
    assert [row["round"] for row in rows] == ["1", "1", "2", "2"]
    assert set(zoo.ids()) == initial | {row["id"] for row in rows}
    assert all(fault is None for _, fault in zoo.verify())
    first = {row["id"] for row in rows if row["round"] == "1"}
    for row in rows:
        card = zoo.card(row["id"])
        assert (card.round, card.parents, card.training.labels) == (int(row["round"]), tuple(row["sources"].split()), 3)
        assert card.accuracy == pytest.approx(float(row["accuracy"]))
        assert 0 <= float(row["labels_only"]) <= 1 and int(row["bytes"]) > 0
        assert len(card.parents) == 2
        seen = initial if card.round == 1 else initial | first
        assert set(card.parents) <= seen, "nobody learns from those who joined in the same round"
        assert int(row["offered_sources"]) == len(seen)
        assert int(row["bytes_of_everything"]) == sum(zoo.card(name).size_bytes for name in seen)
        assert row["depth"] == ("2" if set(card.parents) & first else "1")
        assert int(row["students_among_sources"]) == len(set(card.parents) & first)
    assert all(zoo.card(name).provenance is None for name in initial)

    assert json.loads((folder / "expansion.json").read_text()) == summary
    assert [one["offered_sources"] for one in summary["rounds"]] == [2, 4]
    assert sum(one["asked"] for one in summary["sources"].values()) == 8
    page = (folder / "report.md").read_text()
    assert date.fromisoformat(summary["date"]) and f"| date | {summary['date']} |" in page
    assert "hatlit expand --rounds 2" in page and summary["finding"] in display.shown()
    for name in ("rounds", "propagation", "inheritance", "traffic", "reuse"):
        assert (folder / "figures" / f"{name}.png").is_file() and f"figures/{name}.png" in page

    before = state(folder / "runs") | state(folder / "zoo") | state(folder / "rounds")
    again = expand(options(method="hat", compare_labels_only=True), display, ["--rounds", "2"])
    assert again == summary
    assert state(folder / "runs") | state(folder / "zoo") | state(folder / "rounds") == before
    assert "round 2 is done already" in display.shown()


def test_domains_without_a_label_join(in_this_process, without_pictures, options, display, tmp_path):
    """Nothing stands beside them: labels alone teach nobody where there are none."""
    expand(options(method="hat", labels=LabelsConfig(per_class=0), compare_labels_only=True, rounds=1), display)
    rows = rows_of(tmp_path / "out")
    assert len(rows) == 2
    assert all(row["labels_only"] == "" and 0 <= float(row["accuracy"]) <= 1 for row in rows)


@pytest.fixture
def straight(in_this_process, without_pictures, options, display, tmp_path):
    """Rows and fleet of two rounds without any interruption."""
    expand(options(out=str(tmp_path / "straight")), display)
    return rows_of(tmp_path / "straight", "run"), Zoo.open(folder_of(tmp_path / "straight") / "zoo").fingerprint


def assert_same(straight, out):
    assert (rows_of(out, "run"), Zoo.open(folder_of(out) / "zoo").fingerprint) == straight


def test_an_interruption_anywhere_makes_no_difference(straight, options, display, tmp_path, monkeypatch):
    """Within either round, among the initial sources, and between two publications of a round that is over."""

    def stops(work, at=(2, 5)):
        began = []

        def run(*arguments, **options):
            began.append(arguments)
            if len(began) in at:
                raise KeyboardInterrupt
            return work(*arguments, **options)

        return run

    selected, select = [], prepare.select
    monkeypatch.setattr(
        prepare, "select", lambda zoo, target, *rest: selected.append(target) or select(zoo, target, *rest)
    )
    monkeypatch.setattr(pool, "run_one", stops(pool.run_one))
    monkeypatch.setattr(Zoo, "copy", stops(Zoo.copy))
    for _ in range(4):
        with pytest.raises(KeyboardInterrupt):
            expand(options(), display)
    expand(options(), display)
    assert len(selected) == 4, "no run that was done is repeated"
    assert_same(straight, tmp_path / "out")


def test_neither_order_nor_further_rounds_make_a_difference(straight, options, display, tmp_path, monkeypatch):
    monkeypatch.setattr(executors, "Runs", lambda runs, jobs: [pool.run_one(run) for run in reversed(runs)])
    expand(options(rounds=1), display)
    assert len(rows_of(tmp_path / "out")) == 2
    expand(options(rounds=2), display)
    assert_same(straight, tmp_path / "out")
    shorter = expand(options(rounds=1), display)
    assert len(shorter["rounds"]) == 1 and len(shorter["sources"]) == 4, "what came later is not told"


@pytest.mark.usefixtures("without_pictures")
def test_the_coarse_stage_learns_from_earlier_rounds(in_this_process, options, display, tmp_path, monkeypatch):
    monkeypatch.setattr("hatlit.selection.learned.ENOUGH_TARGETS", 2)
    learns = SelectionConfig(keep=1.0, similarity="learned")
    summary = expand(options(selection=learns, method="best_source"), display)  # whose students are no copies
    folder = folder_of(tmp_path / "out")
    pairs = Zoo.open(folder / "zoo").pairs()
    first, second = ([row for row in rows_of(tmp_path / "out") if row["round"] == number] for number in "12")
    assert {pair.target for pair in pairs} == {row["id"] for row in first + second}
    assert len(pairs) == 2 * 2 + 2 * 4, "of each target those of all sources that it could choose from"
    for pair in pairs:
        (row,) = (row for row in first + second if row["id"] == pair.target)
        (seen,) = (
            one
            for one in json.loads((folder / "runs" / row["run"] / "selection.json").read_text())["sources"]
            if one["id"] == pair.source
        )
        assert (pair.accuracy, pair.labels) == (seen["accuracy"], int(row["labels"]))
    assert {row["pairs_learned_from"] for row in first} == {"0"}
    assert {row["pairs_learned_from"] for row in second} == {"4"}
    assert "round 1: too few pairs of earlier rounds" in display.shown()
    assert "round 2: the coarse stage learned from 4 pairs" in display.shown()
    assert [one["pairs_learned_from"] for one in summary["rounds"]] == [0, 4]
    assert "pairs learned from" in (folder / "report.md").read_text()


def test_a_class_that_is_first_seen_in_a_later_round(in_this_process, six, options, display, tmp_path):
    """Nobody knows it before round 2; whoever meets it there learns it from labels, and teaches it in round 3."""
    changes = {"initial": "ann", "join": 1, "rounds": 3, "num_sources": 1, "method": "hat"}
    late = [domain.name for number in (2, 3) for domain in plan_rounds(six, None, options(**changes)).rounds[number]]
    kept = [domain.labels != 2 if domain.name not in late else domain.labels >= 0 for domain in six.domains]
    pairs = list(zip(six.domains, kept, strict=True))
    np.savez(
        tmp_path / "late.npz",
        x=np.concatenate([domain.samples[rows] for domain, rows in pairs]),
        y=np.concatenate([domain.labels[rows] for domain, rows in pairs]),
        domain=np.concatenate([np.full(rows.sum(), number) for number, (_, rows) in enumerate(pairs)]),
        class_names=np.array(six.class_names),
        domain_names=np.array(NAMES),
        sample_rate=np.array(16.0),
        channel_names=np.array(["x", "y", "z"]),
    )
    summary = expand(options(**changes, data=DataConfig("arrays", str(tmp_path / "late.npz"))), display)
    rows = rows_of(tmp_path / "out")
    assert [row["new_classes"] for row in rows] == ["", "still", ""]
    assert rows[1]["accuracy_new"] and rows[1]["accuracy_known"] and rows[1]["fused_known"]
    assert not rows[0]["accuracy_new"]
    grown = summary["growth"]
    assert grown["classes"]["still"]["first"] == 2 and grown["classes"]["still"]["known_by"] == 2
    assert grown["classes"]["still"]["accuracy"]["1"] is None and grown["classes"]["still"]["accuracy"]["3"] is not None
    assert all(one["initial_classes"] is not None for one in grown["rounds"].values())
    zoo = Zoo.open(folder_of(tmp_path / "out") / "zoo")
    assert [len(zoo.card(row["id"]).class_names) for row in rows] == [2, 3, 3], "heads grow"
    assert "Classes seen first in a later round" in (folder_of(tmp_path / "out") / "report.md").read_text()


@pytest.mark.slow
@pytest.mark.usefixtures("without_pictures")
def test_each_domain_gets_the_largest_student_that_fits_its_own_budget(in_this_process, options, display, tmp_path):
    (tmp_path / "budgets.yaml").write_text("\n".join(f"{name}: {{max_parameters: 10000}}" for name in NAMES[2:5]))
    summary = expand(
        options(
            initial="ann,bob",
            method="labels_only",
            device=DeviceConfig(max_parameters=20000),
            budgets=str(tmp_path / "budgets.yaml"),
        ),
        display,
    )
    limits = {**dict.fromkeys(NAMES[2:5], 10000), "fay": 20000}
    sizes = {row["target"]: int(row["student_parameters"]) for row in rows_of(tmp_path / "out")}
    assert sizes.keys() == limits.keys() and all(sizes[name] <= limit for name, limit in limits.items())
    assert sizes["fay"] > 10000 and len({sizes[name] for name in NAMES[2:5]}) == 1
    assert len(summary["rounds"]) == 2


def test_limits_that_no_student_meets_are_refused_before_anything_is_trained(options, display, tmp_path):
    budgets = tmp_path / "budgets.yaml"
    budgets.write_text("ann: {max_bytes: 3}\ncid: {max_bytes: 30}\n")
    with pytest.raises(InputError) as refused:
        expand(options(initial="ann,bob", budgets=str(budgets)), display)
    assert str(refused.value).startswith(
        f"Domain 'cid' in the budgets '{budgets}': No student fits --device.max_bytes 30: the smallest, "
    )
    assert not (tmp_path / "out").exists() and display.shown() == ""


def test_a_domain_that_no_student_fits_can_be_skipped(in_this_process, options, display, tmp_path):
    (tmp_path / "budgets.yaml").write_text("cid: {max_bytes: 30}\n")
    chosen = {"initial": "ann,bob", "method": "labels_only", "budgets": str(tmp_path / "budgets.yaml")}
    expand(options(**chosen, skip_failed=True), display)
    failed = {row["target"]: row["failed"] for row in rows_of(tmp_path / "out") if row["failed"]}
    assert failed.keys() == {"cid"} and "No student fits --device.max_bytes 30" in failed["cid"]


@pytest.mark.slow
def test_what_a_ranking_chose_is_reported(in_this_process, options, display, tmp_path):
    expand(
        options(initial="ann,bob", rounds=1, student="auto", device=DeviceConfig(max_parameters=8000), method="kd"),
        display,
    )
    rows, folder = rows_of(tmp_path / "out"), folder_of(tmp_path / "out")
    report = (folder / "report.md").read_text()
    assert "What --student auto chose" in report and "hatlit study skeletons" in report
    for row in rows:
        kept = json.loads((folder / "runs" / row["run"] / "skeletons.json").read_text())["skeletons"]
        assert len(kept) == 2
        assert (row["student"], float(row["student_score"])) == (kept[0]["name"], kept[0]["score"])
        chosen = " | ".join(f"{one['name']} ({one['score']:.2f})" for one in kept)
        assert f"| {row['target']} | {chosen} |" in report


@pytest.mark.usefixtures("without_pictures")
def test_students_can_be_left_out_of_selection(in_this_process, options, display, tmp_path):
    summary = expand(options(selection=SelectionConfig(students=False)), display)
    assert all(set(row["sources"].split()) <= set(summary["initial"]) for row in rows_of(tmp_path / "out"))
    assert summary["propagation"]["with_students"] is None
    assert summary["rounds"][1]["offered_students"] == 2


@pytest.mark.usefixtures("without_pictures")
def test_a_given_zoo_is_the_initial_fleet_and_stays_as_it_is(in_this_process, six, options, display, tmp_path):
    given = build_zoo(six, six.domains[:2], tmp_path / "given", SourcesConfig("cnn_nano", max_epochs=1), 1, (), list)
    given.copy(given, "bob", id="old-student", domain="somebody", provenance=Provenance(round=4, parents=("ann",)))
    remembered = Pair(source="ann", target="old-student", accuracy=0.5, labels=3)
    given.add_pairs([remembered])
    before = state(tmp_path / "given" / "sources")
    summary = expand(options(zoo=str(tmp_path / "given"), rounds=1), display)
    assert state(tmp_path / "given" / "sources") == before
    (row, _) = rows_of(tmp_path / "out")
    assert remembered in Zoo.open(folder_of(tmp_path / "out") / "zoo").pairs(), "a fleet keeps its experience"
    assert given.pairs() == (remembered,)
    assert summary["rounds"][0]["round"] == 5, "a fleet that has grown before goes on growing"
    assert row["target"] not in ("ann", "bob") and row["offered_students"] == "1"


@pytest.mark.usefixtures("without_pictures")
def test_a_failed_run_ends_the_expansion_unless_it_is_skipped(in_this_process, options, display, tmp_path, monkeypatch):
    train, plan = pool.train, plan_rounds
    unlucky = []

    def fails(config, display, **how):
        if config.target == unlucky[0]:
            raise InputError("It rains.")
        return train(config, display, **how)

    def remember(data, given, config):
        planned = plan(data, given, config)
        unlucky.append(planned.rounds[1][0].name)
        return planned

    monkeypatch.setattr(module, "plan_rounds", remember)
    monkeypatch.setattr("hatlit.experiments.pool.train", fails)
    with pytest.raises(
        InputError, match=r"1 of the 2 runs of round 1 failed, the first on \w+ because: It rains\. The"
    ):
        expand(options(rounds=1), display)
    assert not list((folder_of(tmp_path / "out") / "rounds").glob("*"))
    summary = expand(options(rounds=1, skip_failed=True), display)
    assert (summary["rounds"][0]["n"], summary["rounds"][0]["failed"]) == (1, 1)
    assert unlucky[0] not in Zoo.open(folder_of(tmp_path / "out") / "zoo").ids()
    assert [row["failed"] for row in rows_of(tmp_path / "out")] == ["It rains.", ""]
    assert "It rains." in (folder_of(tmp_path / "out") / "report.md").read_text()


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (
            {"rounds": 3},
            "3 rounds of 2 want 6 domains with labels besides the initial fleet, which leaves 4 of the 6 in data set",
        ),
        ({"initial": "7"}, "--initial 7 asks for more than the 6 domains with labels in data set"),
        ({"initial": "0"}, "--initial must be at least 1"),
        ({"initial": "ann,zoe"}, "Unknown domain"),
        ({"method": "uniform_ensemble"}, "leaves several models"),
        ({"method": "hatt"}, "Unknown method 'hatt'"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_written(options, display, tmp_path, changes, says):
    with pytest.raises(InputError, match=says):
        expand(options(**changes), display)
    assert not (tmp_path / "out").exists()


def test_the_seed_draws_who_joins_and_names_are_taken_as_they_are(six, options):
    def order(**changes):
        plan = plan_rounds(six, None, options(**changes))
        return [domain.name for group in (plan.initial, *plan.rounds.values()) for domain in group]

    assert order() == order() != order(seed=1)
    assert sorted(order()) == sorted(NAMES)
    assert order(initial="fay,ann")[:2] == ["fay", "ann"]


FRAGILE = """
import os, pathlib
from hatlit.methods.base import StudentMethod, register_method

@register_method("fragile")
class Fragile(StudentMethod):
    "Learns from labels; where this is armed, the second run kills its process, once."
    needs_sources = False

    @classmethod
    def build(cls, task):
        begun = pathlib.Path({folder!r})
        (begun / task.target.domain.name).touch()
        if len(list(begun.iterdir())) == 3:  # one of them is "armed"
            (begun / "killed").touch()
            os.kill(os.getpid(), 9)
        return super().build(task)
"""


@pytest.mark.slow
@pytest.mark.usefixtures("without_pictures")
@pytest.mark.parametrize("executor", ["local", "ray"])
def test_a_worker_that_is_killed_makes_no_difference(executor, options, display, tmp_path):
    if executor == "ray":
        pytest.importorskip("ray", exc_type=ImportError, reason="Ray is not installed")
    begun, plugin = tmp_path / "begun", tmp_path / "fragile.py"
    plugin.write_text(FRAGILE.format(folder=str(begun)))
    load_plugin(plugin)

    def grow(**how):
        out = tmp_path / how["executor"] / str(how["jobs"])
        expand(options(method="fragile", plugin=str(plugin), rounds=1, out=str(out), **how), display)
        return rows_of(out, "run"), Zoo.open(folder_of(out) / "zoo").fingerprint

    begun.mkdir()
    straight = grow(executor="local", jobs=1)
    for path in begun.iterdir():
        path.unlink()
    (begun / "armed").touch()
    assert grow(executor=executor, jobs=2) == straight
    assert (begun / "killed").exists()
