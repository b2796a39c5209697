"""What learning from earlier targets is worth for the coarse stage."""

import numpy as np
import pytest

from hatlit.cli import main
from hatlit.errors import InputError
from hatlit.experiments.studies.learned_coarse import LearnedCoarse


def row(similarity, target, correlation, accuracy, pairs=0):
    return {
        **{"similarity": similarity, "target": target, "seed": 0, "sources": 4, "pairs": pairs},
        **{"correlation": correlation, "chosen": 2, "accuracy_alike": accuracy - 0.1, "accuracy": accuracy},
        **{"accuracy_of_all": 0.4, "accuracy_possible": 0.9, "failed": ""},
    }


@pytest.fixture
def rows():
    return [
        *(row("cosine", target, 0.1, 0.5) for target in "ab"),
        *(row("rbf_mmd", target, 0.4, 0.7) for target in "ab"),
        *(row("learned from 3", target, 0.5, 0.7, pairs=6) for target in "ab"),
        *(row("learned from all", target, 0.8, 0.8, pairs=30) for target in "ab"),
    ]


def test_finding_table_and_figure(rows):
    said = LearnedCoarse().finding(rows)
    assert "learned from all +0.80 [+0.80, +0.80]" in said
    assert "learned from all is ahead of rbf_mmd (+10.0 points [+10.0, +10.0])" in said
    assert "learned from all is ahead of cosine (+30.0 points" in said
    table = LearnedCoarse().table(rows)
    assert [(one["similarity"], one["pairs"]) for one in table][-2:] == [
        ("learned from 3", "6"),
        ("learned from all", "30"),
    ]
    left, _ = LearnedCoarse().figure(rows, "here").axes
    assert left.get_yticklabels()[0].get_text() == "cosine"


def test_values():
    assert [LearnedCoarse().read(value) for value in ("3", "all")] == [3, None]
    for wrong in ("1", "some"):
        with pytest.raises(InputError, match="are numbers from 2 on, or all"):
            LearnedCoarse().read(wrong)


def test_it_measures_on_other_targets_only(arrays, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("HATLIT_CACHE", str(tmp_path / "cache"))
    seen = []
    from hatlit.experiments.studies import learned_coarse as module

    learn = module.experience_of

    def spy(pairs, index, statistics, asked, target):
        seen.append((target, {pair.target for pair in pairs} | {pair.source for pair in pairs}))
        return learn(pairs, index, statistics, asked, target)

    monkeypatch.setattr(module, "experience_of", spy)
    words = (
        f"study learned_coarse --data.name arrays --data.root {arrays} --seeds 1 --values 2 --jobs 1 --out {tmp_path}/s"
    )
    assert main([*words.split(), "--sources.encoders", "cnn_nano", "--sources.max_epochs", "1"]) == 0, (
        capsys.readouterr()
    )
    assert len(seen) == 3 and all(target not in known for target, known in seen)
    text = (tmp_path / "s" / "study.csv").read_text().splitlines()
    assert len(text) == 1 + 3 * 3 and np.isfinite([float(line.split(",")[8]) for line in text[1:]]).all()
