"""From a finished run to the samples to label next: whose rows they are, what they rest on, and what is refused."""

import csv
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from hatlit.cli import main
from hatlit.config import SuggestConfig
from hatlit.datamodules.split import split_domain
from hatlit.errors import InputError
from hatlit.experiments.reopen import reopen
from hatlit.experiments.suggest_labels import outlook_of, suggest_labels
from hatlit.methods.base import METHODS


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    """That of the run, so that what its sources said is there."""
    monkeypatch.setenv("HATLIT_CACHE", str(tmp_path_factory.getbasetemp() / "finished-cache"))


def test_unlabelled_training_rows_of_the_target_are_named_in_order(finished_run, tmp_path, display):
    file = tmp_path / "deep" / "next.csv"
    found = suggest_labels(str(finished_run), SuggestConfig(n=6, out=str(file)), display)
    split = reopen(finished_run).target.split
    rows = [one.row for one in found]
    assert [one.order for one in found] == [1, 2, 3, 4, 5, 6]
    assert len(set(rows)) == 6
    assert set(rows) <= set(split.train) - set(split.labelled)
    assert {one.guess for one in found} <= {"slow", "fast", "still"}
    with file.open() as lines:
        assert [(line["domain"], int(line["row"])) for line in csv.DictReader(lines)] == [("ann", row) for row in rows]
    assert f"{file} is written" in display.shown()


def test_what_was_named_can_be_labelled(finished_run, tmp_path, display):
    file = tmp_path / "next.csv"
    found = suggest_labels(str(finished_run), SuggestConfig(n=3, out=str(file)), display)
    opened = reopen(finished_run)
    more = split_domain(opened.target.domain, replace(opened.config.labels, also=str(file)), opened.config.seed)
    assert set(more.labelled) == {*opened.target.split.labelled, *(one.row for one in found)}


def test_json_and_the_end_of_the_samples(finished_run, tmp_path, display):
    file = tmp_path / "next.json"
    found = suggest_labels(str(finished_run), SuggestConfig(n=999, ranking="random", out=str(file)), display)
    split = reopen(finished_run).target.split
    assert len(found) == len(split.train) - len(split.labelled)
    assert f"Only {len(found)} training samples are not labelled yet" in display.shown()
    assert [one["row"] for one in json.loads(file.read_text())] == [one.row for one in found]


def test_labels_that_nobody_gave_are_not_looked_at(finished_run, display):
    opened = reopen(finished_run)
    hidden = np.setdiff1d(np.arange(len(opened.target.domain)), opened.target.split.labelled)
    labels = opened.target.domain.labels.copy()
    labels[hidden] = np.random.default_rng(0).permutation(labels[hidden])
    other = replace(opened, target=replace(opened.target, domain=replace(opened.target.domain, labels=labels)))
    one, two = outlook_of(opened, display), outlook_of(other, display)
    for name, array in one._asdict().items():
        np.testing.assert_allclose(array, getattr(two, name), atol=1e-6, err_msg=name)


def test_the_outlook_has_a_row_a_recorded_sample_and_is_what_the_mixer_last_made_of_them(finished_run, display):
    opened = reopen(finished_run)
    outlook = outlook_of(opened, display)
    num_rows, num_members = len(opened.target.split.train), 2 + opened.config.hat.experts.count
    assert outlook.members.shape == (num_rows, num_members, 3)
    assert outlook.members.sum(-1) == pytest.approx(1)
    assert sorted([*outlook.labelled, *outlook.candidates]) == list(range(num_rows))
    logged = opened.folder.epochs()[-1]["mixer/accuracy"]
    known = opened.target.train_labels.numpy()[outlook.labelled]
    assert (outlook.fused[outlook.labelled].argmax(-1) == known).mean() == pytest.approx(logged)


def test_of_other_methods_the_sources_count_alike(finished_run, display):
    opened = reopen(finished_run)
    outlook = outlook_of(replace(opened, config=replace(opened.config, method="kd")), display)
    assert outlook.members.shape[1] == 2
    assert outlook.fused == pytest.approx(outlook.members.mean(axis=1))


def test_a_run_without_a_checkpoint_has_the_weights_of_the_prior(finished_run, tmp_path, display):
    other = tmp_path / "other"
    shutil.copytree(finished_run, other, ignore=shutil.ignore_patterns("checkpoints"))
    assert len(suggest_labels(str(other), SuggestConfig(n=2), display)) == 2


def test_other_sources_are_refused(finished_run, display, monkeypatch):
    opened = reopen(finished_run)
    monkeypatch.setattr("hatlit.methods.hat.weights_hash", lambda model: "another")
    with pytest.raises(InputError, match="The run began with other sources"):
        outlook_of(opened, display)


def test_a_run_that_asked_nobody_is_refused(finished_run, display):
    assert not METHODS.get("labels_only").needs_sources
    opened = reopen(finished_run)
    with pytest.raises(InputError, match="of method labels_only asked no sources"):
        outlook_of(replace(opened, config=replace(opened.config, method="labels_only")), display)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("nowhere", "'nowhere' is not the folder of a finished run"),
        ("nowhere --ranking covrage", "Unknown ranking 'covrage': did you mean coverage?"),
        ("nowhere --n 0", "--n must be at least 1, not 0."),
        ("--n 3", "'hatlit suggest-labels' wants RUN, not: --n 3."),
    ],
)
def test_what_cannot_be(words, says, capsys):
    assert main(["suggest-labels", *words.split()]) == 2
    errors = capsys.readouterr().err
    assert says in errors
    assert errors.count("\n") == 1


def test_a_file_that_cannot_be_written(finished_run, tmp_path, display):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        suggest_labels(str(finished_run), SuggestConfig(n=1, out=str(tmp_path / "file" / "next.csv")), display)
