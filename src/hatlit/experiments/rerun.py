"""What ``hatlit rerun`` does: repeats a finished run, and compares what comes out with what came out before."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

from hatlit.config import RerunConfig
from hatlit.experiments.display import Display
from hatlit.experiments.folder import RunFolder
from hatlit.experiments.reopen import open_finished
from hatlit.experiments.train import train
from hatlit.files import file_hash
from hatlit.registry import load_plugin

#: Where the repetition goes, in the folder of the run, unless told otherwise.
REPEATED = "rerun"


def rerun(run: str, config: RerunConfig, display: Display) -> bool:
    """Repeats a run with the options that it kept, from the sources on, and shows what is the same.

    Args:
        run: folder of a finished run.
        config: the options.
        display: speaks to the user.

    Returns:
        Whether labels, sources, student and predictions are the same to the last bit.

    Raises:
        InputError: the folder holds no finished run, or what it was made of is not there any more.
    """
    before, options = open_finished(Path(run))
    for plugin in options.plugin:
        load_plugin(plugin)
    out = Path(config.out) if config.out else before.path / REPEATED
    shutil.rmtree(out / before.path.name, ignore_errors=True)  # of an earlier repetition
    result = train(replace(options, out=str(out), wandb="off"), display, one_of_many=True)
    after = RunFolder(out / str(result["run"]))
    rows = [_row(name, then, now) for name, then, now in _compared(before, after)]
    display.table(f"{before.path.name}, then and now", rows)
    same = all(row["same"] == "yes" for row in rows)
    display.say("The repetition is the same to the last bit." if same else _why(before, after))
    return same


def _compared(before: RunFolder, after: RunFolder) -> list[tuple[str, Any, Any]]:
    then, now = (folder.read_json("result.json") for folder in (before, after))
    return [
        ("labels", then["labels_fingerprint"], now["labels_fingerprint"]),
        ("sources", then["sources"], now["sources"]),
        *((name, then[name], now[name]) for name in ("accuracy", "nll")),
        ("predictions", _predictions(before), _predictions(after)),
        ("student", _student(before), _student(after)),
    ]


def _row(name: str, then: Any, now: Any) -> dict[str, str]:
    return {"what": name, "then": _short(then), "now": _short(now), "same": "yes" if then == now else "no"}


def _short(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "-"
    return "-" if value is None else f"{value:.6f}" if isinstance(value, float) else str(value)[:16]


def _predictions(folder: RunFolder) -> str | None:
    """Their hash; a run whose target has no test part predicts nothing."""
    file = folder.path / "predictions.safetensors"
    return file_hash(file) if file.is_file() else None


def _student(folder: RunFolder) -> str | None:
    files = sorted((folder.path / "student").glob("sources/*/model.safetensors"))
    return file_hash(files[0]) if files else None


def _why(before: RunFolder, after: RunFolder) -> str:
    if before.path.name != after.path.name:
        return "The repetition differs: labels, data, zoo, plugins or the version of hatlit are not what they were."
    then, now = (_environment(folder) for folder in (before, after))
    changed = [
        f"{name} {then.get(name, '-')} then, {now.get(name, '-')} now"
        for name in sorted(then.keys() | now.keys())
        if then.get(name) != now.get(name)
    ]
    told = f"what it ran in does, too: {'; '.join(changed)}" if changed else "and what it ran in is the same"
    return f"The repetition differs, {told}."


def _environment(folder: RunFolder) -> dict[str, object]:
    try:
        return folder.read_json("environment.json")
    except FileNotFoundError:
        return {}
