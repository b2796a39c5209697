"""A student that nobody names: the ranking that chooses it, who shares it, and what goes on with it."""

import json
import shutil

import pytest

from hatlit.cli import main
from hatlit.config import SuggestConfig
from hatlit.experiments.folder import RunFolder
from hatlit.experiments.reopen import reopen
from hatlit.experiments.student import kept_ranking
from hatlit.experiments.suggest_labels import suggest_labels
from hatlit.stopwatch import seconds_of
from hatlit.students.skeletons import skeletons

#: Only the two smallest fit, so that few are built.
QUICK = "--trainer.max_epochs 1 --adapt.steps 2 --hat.experts.steps 2 --jobs 1 --wandb off --device.max_parameters 8000"


@pytest.fixture
def train(without_pictures, arrays, zoo_of_two, tmp_path, tmp_path_factory, monkeypatch):
    """Trains on ann with ``--student auto``; returns the folder of the run."""
    monkeypatch.setenv("HATLIT_CACHE", str(tmp_path_factory.getbasetemp() / "student-cache"))

    def run(method, *words):
        data = f"--data.name arrays --data.root {arrays} --target ann --zoo {zoo_of_two} --student auto".split()
        assert main(["train", *data, *QUICK.split(), "--method", method, "--out", str(tmp_path), *words]) == 0
        (folder,) = tmp_path.glob(f"{method}-*")
        return RunFolder(folder)

    return run


@pytest.mark.slow
def test_the_first_of_the_ranking_is_trained_whatever_the_method(train, capsys, display):
    folder = train("hat")
    ranking, result = kept_ranking(folder), folder.read_json("result.json")
    assert len(ranking) == 2 and all(one.parameters <= 8000 for one in ranking)
    assert [one.score for one in ranking] == sorted((one.score for one in ranking), reverse=True)
    assert result["student"]["encoder"] == ranking[0].name
    assert seconds_of("ranking of students", result["seconds"]) > 0
    assert "students that fit, ranked without training" in capsys.readouterr().out

    plain = train("labels_only")
    alone = plain.read_json("result.json")
    assert kept_ranking(plain) == ranking and alone["student"]["encoder"] == ranking[0].name
    assert alone["sources"] == [] and alone["bytes"] is None

    opened = reopen(folder.path)
    assert opened.config.student == ranking[0].name
    out = folder.path.parent / "next.csv"
    assert len(suggest_labels(str(folder.path), SuggestConfig(n=2, out=str(out)), display)) == 2


def test_a_run_that_goes_on_keeps_its_ranking(train):
    folder = train("hat")
    kept = json.loads((folder.path / "skeletons.json").read_text())
    kept["skeletons"].reverse()
    shutil.rmtree(folder.path)
    folder.write_json("skeletons.json", kept)  # all that was left when it was interrupted
    train("hat")
    assert folder.read_json("result.json")["student"]["encoder"] == kept["skeletons"][0]["name"]


def test_from_python(arrays, zoo_of_two, tmp_path_factory, monkeypatch):
    import hatlit

    monkeypatch.setenv("HATLIT_CACHE", str(tmp_path_factory.getbasetemp() / "student-cache"))
    task = hatlit.prepare(
        zoo_of_two,
        "arrays",
        root=arrays,
        target="ann",
        student="auto",
        adapt={"steps": 2},
        device={"max_parameters": 8000},
        quiet=True,
    )
    names = [one.name for one in skeletons(task.student_spec, task.num_classes) if one.cost.parameters <= 8000]
    assert task.config.student in names


def test_where_nothing_fits_nothing_is_ranked(arrays, zoo_of_two, tmp_path, capsys):
    words = f"train --data.name arrays --data.root {arrays} --zoo {zoo_of_two} --student auto --out {tmp_path / 'out'}"
    assert main([*words.split(), "--device.max_parameters", "10", "--wandb", "off"]) == 2
    assert "No student fits --device.max_parameters 10" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
