"""A finished run opened again: its target is the one that it learned from, or nothing is."""

import shutil

import pytest

from hatlit.errors import InputError
from hatlit.experiments.reopen import reopen


def test_a_folder_without_a_finished_run(tmp_path):
    with pytest.raises(InputError, match="is not the folder of a finished run"):
        reopen(tmp_path)


def test_the_target_is_split_and_labelled_as_it_was(finished_run):
    opened = reopen(finished_run)
    result = opened.folder.read_json("result.json")
    assert opened.target.domain.name == result["target"] == opened.config.target
    assert opened.target.labels_fingerprint == result["labels_fingerprint"]
    assert len(opened.target.split.labelled) == result["labels"]
    assert opened.asked.names == ["ann", "bob", "cid"]


def test_other_labels_are_refused(finished_run, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(finished_run, other)
    config = (other / "config.yaml").read_text()
    (other / "config.yaml").write_text(config.replace("seed: 0\nwandb", "seed: 1\nwandb"))
    assert (other / "config.yaml").read_text() != config
    with pytest.raises(InputError, match=r"The data of target 'ann' have changed since .* train again"):
        reopen(other)
