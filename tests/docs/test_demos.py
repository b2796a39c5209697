"""The demo of every modality runs from nothing, as the pages say."""

import pytest

from hatlit.cli import main


@pytest.mark.slow
@pytest.mark.usefixtures("without_pictures")
@pytest.mark.parametrize("modality", ["image", "audio", "text", "depth", "radar"])
def test_the_demo_of_a_modality_runs(modality, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HATLIT_CACHE", str(tmp_path / "cache"))
    quick = "--sources.max_epochs 1 --trainer.max_epochs 1 --adapt.steps 1 --hat.experts.steps 1".split()
    words = ["train", "--modality", modality, *quick, "--jobs", "1", "--wandb", "off"]
    assert main(words) == 0, capsys.readouterr().err
    assert "demo data: simulated" in capsys.readouterr().out
