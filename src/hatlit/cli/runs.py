"""Commands that train, each with the options of its dataclass."""

from __future__ import annotations

import ast
import os
from dataclasses import replace
from pathlib import Path

from hatlit.cli.words import HELP, folder_of, load_plugins
from hatlit.config import CompareConfig, ExpandConfig, StudyConfig, TrainConfig
from hatlit.errors import InputError, unknown_name
from hatlit.options import kept_settings, parse

#: One file a study.
STUDIES = Path(__file__).parents[1] / "experiments" / "studies"


def train_command(words: list[str]) -> int:
    """Runs ``hatlit train``."""
    config = parse(TrainConfig, "train", "Expands a zoo of trained sources to one new target domain.", words)
    _use_one_thread_a_process(config.trainer.devices)
    from hatlit.experiments.display import Display
    from hatlit.experiments.train import is_first_process, train

    load_plugins(config.plugin)
    train(config, Display(silent=not is_first_process()))
    return 0


def compare_command(words: list[str]) -> int:
    """Runs ``hatlit compare``."""
    if "--resume" in words:
        place = words.index("--resume")
        words = _saved_words([*words[place + 1 :], *words[:place]])
    about = ("compare", "Runs methods on targets with several seeds and sets them side by side.", words)
    config = parse(CompareConfig, *about)
    from hatlit.experiments.compare import compare
    from hatlit.experiments.display import Display

    load_plugins(config.plugin)
    display = Display()
    for method in config.methods:
        if kept := kept_settings(CompareConfig, *about, method):
            display.say(f"{method} keeps its own {', '.join(kept)}; otherwise it would be another method.")
    compare({method: parse(CompareConfig, *about, method=method) for method in config.methods}, display, words)
    return 0


def _saved_words(words: list[str]) -> list[str]:
    """What an earlier comparison was asked for, and what is asked for now on top of it."""
    from hatlit.files import saved_words

    folder, rest = folder_of(words, "compare --resume")
    return [*saved_words(folder), *rest]


def expand_command(words: list[str]) -> int:
    """Runs ``hatlit expand``."""
    about = "Lets new domains join a fleet round after round; the students of each are sources of the next ones."
    config = parse(ExpandConfig, "expand", about, words)
    from hatlit.experiments.display import Display
    from hatlit.experiments.expand import expand

    load_plugins(config.plugin)
    expand(config, Display(), words)
    return 0


def study_command(words: list[str]) -> int:
    """Runs ``hatlit study``."""
    name, rest = _study_name(words)
    about = (f"study {name}", f"Answers one question about the method. {_about_study(name)}", rest)

    def read(method: str | None = None) -> StudyConfig:
        config = parse(StudyConfig, *about, method=method)
        return replace(config, out=f"study-{name}" if config.out == StudyConfig.out else config.out)

    config = read()
    from hatlit.experiments.display import Display
    from hatlit.experiments.study import run_study

    load_plugins(config.plugin)
    run_study(name, config, read, Display(), rest)
    return 0


def _study_name(words: list[str]) -> tuple[str, list[str]]:
    """Takes the name of a study off the front of a command line; each is a file, so that nothing is imported."""
    known = sorted(path.stem for path in STUDIES.glob("[!_]*.py"))
    if words and words[0] in HELP:
        print("usage: hatlit study NAME [options]      (study NAME --help lists the options)\n")
        for name in known:
            print(f"  {name:<15} {_about_study(name)}")
        raise SystemExit(0)
    if not words or words[0].startswith("-"):
        raise InputError(f"'hatlit study' wants the NAME of a study first: {', '.join(known)}.")
    if words[0] not in known:
        raise unknown_name("study", words[0], known)
    return words[0], words[1:]


def _about_study(name: str) -> str:
    """What a study asks, from the first line of its file."""
    return (ast.get_docstring(ast.parse((STUDIES / f"{name}.py").read_text())) or "").partition("\n")[0]


def _use_one_thread_a_process(processes: int) -> None:
    # Two processes that each start a thread a core slow one another down many times over.
    if processes > 1:
        os.environ.setdefault("OMP_NUM_THREADS", "1")
