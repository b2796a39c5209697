"""The command line: parse first, import what is heavy after.

Every command is one function that parses its options and then imports what it needs, so that ``--help`` is instant.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from types import FrameType

from hatlit.config import (
    CompareConfig,
    DoctorConfig,
    ExpandConfig,
    ExportConfig,
    ListConfig,
    PlotConfig,
    PredictConfig,
    PruneConfig,
    RerunConfig,
    StudentsConfig,
    StudyConfig,
    SuggestConfig,
    TrainConfig,
    ZooAddConfig,
    ZooAddRunConfig,
    ZooBuildConfig,
)
from hatlit.errors import InputError, Terminated, reason_of, unknown_name
from hatlit.options import parse

USAGE = """usage: hatlit COMMAND [options]      (COMMAND --help lists the options)

  train            expand a zoo to a new target domain: select sources, mix them, distil a student
  compare          run methods on several targets and seeds, and set them side by side (--resume DIR goes on)
  expand           let a fleet grow: new domains join round after round and become sources of later ones
  export           make a file for a device of the student of a run: export RUN
  rerun            repeat a finished run and compare what comes out: rerun RUN
  predict          ask a student, of a run or exported, about files: predict RUN INPUT ...
  suggest-labels   say which samples to label next: suggest-labels RUN
  study            answer one question about the method: study NAME (study --help lists them)
  data             list the data sets
  data plot        draw some samples of each domain
  encoders         list the encoders
  check-encoder    check the encoders in Python files of your own
  students         list what can be a student, cheapest first
  methods          list the methods
  zoo build        train one source a domain
  zoo list DIR     list the sources of a zoo
  zoo show DIR ID  show one source's card
  zoo add DIR      add a trained model to a zoo (zoo add DIR RUN: the student of a run)
  zoo verify DIR   check every source against its card
  zoo index DIR    make the index of a zoo anew, after its files were changed by hand
  cache            list what is kept to save computing it again
  cache prune      remove of that what was not used for long
  doctor           say what is installed, and what is missing for what
"""

HELP = ("-h", "--help")

#: What the system says where there is no room for more: on the disk, for this user, or in a file.
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

GOES_ON = "the same command goes on where this one was."

#: One file a study.
STUDIES = Path(__file__).parent / "experiments" / "studies"


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command.

    Returns:
        The exit code: 0 done, 2 bad input (one sentence on standard error), 130 stopped by Ctrl-C, 143 by SIGTERM.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        with _ending_on_sigterm():
            return _run(words)
    except InputError as error:
        print(f"hatlit: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"hatlit: stopped; {GOES_ON}", file=sys.stderr)
        return 130
    except Terminated:
        print(f"hatlit: ended by SIGTERM; {GOES_ON}", file=sys.stderr)
        return 143
    except BrokenPipeError:  # whoever read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        place = f"'{error.filename}'" if error.filename else "A file"
        print(f"hatlit: {place} cannot be written ({reason_of(error)}); make room, then {GOES_ON}", file=sys.stderr)
        return 2


@contextmanager
def _ending_on_sigterm() -> Iterator[None]:
    """Turns SIGTERM, inside, into an exception, which ends workers and lets go of locks on its way out."""
    ours = threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    if not ours:  # whoever calls this from Python has made up their mind
        yield
        return
    signal.signal(signal.SIGTERM, _end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _end(number: int, frame: FrameType | None) -> None:
    raise Terminated


def _run(words: list[str]) -> int:
    if not words or words[0] in HELP or (words[0] == "zoo" and words[1:] and words[1] in HELP):
        print(USAGE, end="")
        return 0 if words else 2
    if words[0] == "--version":
        print(f"hatlit {version('hatlit')}")
        return 0
    two_words = words[0] == "zoo" or words[:2] in (["data", "plot"], ["cache", "prune"])
    length = 2 if two_words else 1
    name = " ".join(words[:length])
    if name not in COMMANDS:
        raise unknown_name("command", name, COMMANDS)
    try:
        return COMMANDS[name](words[length:])
    except SystemExit as stop:  # the parser has shown its help
        return int(stop.code or 0)


def _train(words: list[str]) -> int:
    config = parse(TrainConfig, "train", "Expands a zoo of trained sources to one new target domain.", words)
    _use_one_thread_a_process(config.trainer.devices)
    from hatlit.experiments.display import Display
    from hatlit.experiments.train import is_first_process, train

    _load(config.plugin)
    train(config, Display(silent=not is_first_process()))
    return 0


def _compare(words: list[str]) -> int:
    if "--resume" in words:
        place = words.index("--resume")
        words = _saved_words([*words[place + 1 :], *words[:place]])
    about = ("compare", "Runs methods on targets with several seeds and sets them side by side.", words)
    config = parse(CompareConfig, *about)
    from hatlit.experiments.compare import compare
    from hatlit.experiments.display import Display

    _load(config.plugin)
    compare({method: parse(CompareConfig, *about, method=method) for method in config.methods}, Display(), words)
    return 0


def _saved_words(words: list[str]) -> list[str]:
    """What an earlier comparison was asked for, and what is asked for now on top of it."""
    from hatlit.files import saved_words

    folder, rest = _folder(words, "compare --resume")
    return [*saved_words(folder), *rest]


def _expand(words: list[str]) -> int:
    about = "Lets new domains join a fleet round after round; the students of each are sources of the next ones."
    config = parse(ExpandConfig, "expand", about, words)
    from hatlit.experiments.display import Display
    from hatlit.experiments.expand import expand

    _load(config.plugin)
    expand(config, Display(), words)
    return 0


def _export(words: list[str]) -> int:
    run, rest = _folder(words, "export", what="RUN")
    config = parse(ExportConfig, "export RUN", "Turns the student of a run folder into a file for a device.", rest)
    from hatlit.experiments.display import Display
    from hatlit.experiments.export import export_run

    _load(config.plugin)
    export_run(run, config, Display())
    return 0


def _rerun(words: list[str]) -> int:
    run, rest = _folder(words, "rerun", what="RUN")
    config = parse(RerunConfig, "rerun RUN", "Repeats a finished run and compares what comes out.", rest)
    from hatlit.experiments.display import Display
    from hatlit.experiments.rerun import rerun

    return 0 if rerun(run, config, Display()) else 1


def _predict(words: list[str]) -> int:
    count = next((place for place, word in enumerate(words) if word.startswith("-")), len(words))
    if count < 2 and not set(words) & set(HELP):
        raise InputError(f"'hatlit predict' wants RUN INPUT ..., not: {' '.join(words[:count]) or 'nothing'}.")
    about = "Says what a student, of a run folder or an exported file, makes of files and folders, as JSON lines."
    config = parse(PredictConfig, "predict RUN INPUT ...", about, words[count:])
    from hatlit.experiments.predict import predict_files

    _load(config.plugin)
    return 0 if predict_files(words[0], words[1:count], config.rate) else 2


def _suggest_labels(words: list[str]) -> int:
    run, rest = _folder(words, "suggest-labels", what="RUN")
    about = "Says which unlabelled training samples of a run's target to label next, in order, and why."
    config = parse(SuggestConfig, "suggest-labels RUN", about, rest)
    from hatlit.experiments.display import Display
    from hatlit.experiments.suggest_labels import suggest_labels

    _load(config.plugin)
    suggest_labels(run, config, Display())
    return 0


def _study(words: list[str]) -> int:
    name, rest = _study_name(words)
    about = (f"study {name}", "Answers one question about the method; docs/studies.md says which.", rest)
    config = parse(StudyConfig, *about)
    from hatlit.experiments.display import Display
    from hatlit.experiments.study import run_study

    _load(config.plugin)
    run_study(name, config, lambda method: parse(StudyConfig, *about, method=method), Display(), rest)
    return 0


def _study_name(words: list[str]) -> tuple[str, list[str]]:
    """Takes the name of a study off the front of a command line; each is a file, so that nothing is imported."""
    known = sorted(path.stem for path in STUDIES.glob("[!_]*.py"))
    if words and words[0] in HELP:
        print(f"usage: hatlit study NAME [options]\n\nNAME is one of {', '.join(known)}.")
        raise SystemExit(0)
    if not words or words[0].startswith("-"):
        raise InputError(f"'hatlit study' wants the NAME of a study first: {', '.join(known)}.")
    if words[0] not in known:
        raise unknown_name("study", words[0], known)
    return words[0], words[1:]


def _zoo_build(words: list[str]) -> int:
    config = parse(ZooBuildConfig, "zoo build", "Trains one source a domain and keeps them in a zoo.", words)
    from hatlit.experiments.display import Display
    from hatlit.experiments.zoo import build

    _load(config.plugin)
    build(config, Display())
    return 0


def _zoo_add(words: list[str]) -> int:
    folder, rest = _folder(words, "zoo add")
    if rest and not rest[0].startswith("-"):
        return _zoo_add_run(folder, rest[0], rest[1:])
    config = parse(ZooAddConfig, "zoo add DIR", "Adds a trained model to the zoo in DIR.", rest)
    from hatlit.experiments.display import Display
    from hatlit.experiments.zoo import add

    _load(config.plugin)
    add(folder, config, Display())
    return 0


def _zoo_add_run(folder: str, run: str, words: list[str]) -> int:
    config = parse(ZooAddRunConfig, "zoo add DIR RUN", "Adds the student of a run folder to the zoo in DIR.", words)
    from hatlit.experiments.display import Display
    from hatlit.experiments.zoo import add_run

    _load(config.plugin)
    add_run(folder, run, config, Display())
    return 0


def _zoo_list(words: list[str]) -> int:
    folder, _ = _folder(words, "zoo list", 1)
    from hatlit.experiments.display import Display
    from hatlit.experiments.zoo import list_sources

    list_sources(folder, Display())
    return 0


def _zoo_show(words: list[str]) -> int:
    folder, rest = _folder(words, "zoo show", 2)
    from hatlit.experiments.display import Display
    from hatlit.experiments.zoo import show

    show(folder, rest[0], Display())
    return 0


def _zoo_verify(words: list[str]) -> int:
    folder, rest = _folder(words, "zoo verify")
    config = parse(ListConfig, "zoo verify DIR", "Checks every source of the zoo in DIR against its card.", rest)
    from hatlit.experiments.display import Display
    from hatlit.experiments.zoo import verify

    _load(config.plugin)
    return 0 if verify(folder, Display()) else 2


def _zoo_index(words: list[str]) -> int:
    folder, _ = _folder(words, "zoo index", 1)
    from hatlit.experiments.display import Display
    from hatlit.experiments.zoo import rebuild_index

    rebuild_index(folder, Display())
    return 0


def _data(words: list[str]) -> int:
    config = parse(ListConfig, "data", "Lists the data sets.", words)
    from hatlit.experiments.display import Display
    from hatlit.experiments.listings import list_data

    _load(config.plugin)
    list_data(Display())
    return 0


def _data_plot(words: list[str]) -> int:
    config = parse(PlotConfig, "data plot", "Draws some samples of each domain.", words)
    from hatlit.experiments.display import Display
    from hatlit.experiments.plot import plot_samples

    _load(config.plugin)
    plot_samples(config, Display())
    return 0


def _check_encoder(words: list[str]) -> int:
    if not words or set(words) & {"--help", "-h"} or any(word.startswith("-") for word in words):
        print("usage: hatlit check-encoder FILE.py ...")
        return 0 if set(words) & {"--help", "-h"} else 2
    from hatlit.experiments.conformance import check_plugins
    from hatlit.experiments.display import Display

    return 0 if check_plugins(words, Display()) else 2


def _encoders(words: list[str]) -> int:
    config = parse(ListConfig, "encoders", "Lists the encoders.", words)
    from hatlit.experiments.display import Display
    from hatlit.experiments.listings import list_encoders

    _load(config.plugin)
    list_encoders(Display())
    return 0


def _students(words: list[str]) -> int:
    config = parse(StudentsConfig, "students", "Lists the architectures that can be students, cheapest first.", words)
    from hatlit.experiments.display import Display
    from hatlit.experiments.listings import list_students

    _load(config.plugin)
    list_students(config, Display())
    return 0


def _methods(words: list[str]) -> int:
    config = parse(ListConfig, "methods", "Lists the methods.", words)
    from hatlit.experiments.display import Display
    from hatlit.experiments.listings import list_methods

    _load(config.plugin)
    list_methods(Display())
    return 0


def _cache(words: list[str]) -> int:
    parse(ListConfig, "cache", "Lists what is kept to save computing it again.", words)
    from hatlit.experiments.cache import list_cache
    from hatlit.experiments.display import Display

    list_cache(Display())
    return 0


def _cache_prune(words: list[str]) -> int:
    config = parse(PruneConfig, "cache prune", "Removes from the cache what was not used for long.", words)
    from hatlit.experiments.cache import prune
    from hatlit.experiments.display import Display

    prune(config, Display())
    return 0


def _doctor(words: list[str]) -> int:
    config = parse(DoctorConfig, "doctor", "Says what is installed, and what is missing for what.", words)
    from hatlit.experiments.display import Display
    from hatlit.experiments.doctor import doctor

    doctor(config, Display())
    return 0


COMMANDS: dict[str, Callable[[list[str]], int]] = {
    "train": _train,
    "compare": _compare,
    "expand": _expand,
    "export": _export,
    "rerun": _rerun,
    "predict": _predict,
    "suggest-labels": _suggest_labels,
    "study": _study,
    "data": _data,
    "data plot": _data_plot,
    "encoders": _encoders,
    "check-encoder": _check_encoder,
    "students": _students,
    "methods": _methods,
    "zoo build": _zoo_build,
    "zoo list": _zoo_list,
    "zoo show": _zoo_show,
    "zoo add": _zoo_add,
    "zoo verify": _zoo_verify,
    "zoo index": _zoo_index,
    "cache": _cache,
    "cache prune": _cache_prune,
    "doctor": _doctor,
}


def _folder(words: list[str], command: str, exactly: int = 0, what: str = "DIR") -> tuple[str, list[str]]:
    """Takes a folder off the front of a command line."""
    what = "DIR ID" if exactly == 2 else what
    if words and words[0] in HELP and exactly:
        print(f"usage: hatlit {command} {what}")
        raise SystemExit(0)
    if words and words[0] in HELP:
        return "", words
    if not words or words[0].startswith("-") or (exactly and len(words) != exactly):
        raise InputError(f"'hatlit {command}' wants {what}, not: {' '.join(words) or 'nothing'}.")
    return words[0], words[1:]


def _load(plugins: Sequence[str]) -> None:
    from hatlit.registry import load_plugin

    for path in plugins:
        load_plugin(path)


def _use_one_thread_a_process(processes: int) -> None:
    # Two processes that each start a thread a core slow one another down many times over.
    if processes > 1:
        os.environ.setdefault("OMP_NUM_THREADS", "1")
