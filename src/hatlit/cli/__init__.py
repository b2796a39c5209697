"""The command line: parse first, import what is heavy after.

Every command is one function of the words behind it, which returns the exit code. It parses its options and then
imports what it needs, so that ``--help`` is instant.
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
from types import FrameType

from hatlit.cli import finished, lists, runs, zoo
from hatlit.cli.words import HELP
from hatlit.errors import InputError, Terminated, reason_of, unknown_name

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

#: What the system says where there is no room for more: on the disk, for this user, or in a file.
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

GOES_ON = "the same command goes on where this one was."

COMMANDS: dict[str, Callable[[list[str]], int]] = {
    "train": runs.train_command,
    "compare": runs.compare_command,
    "expand": runs.expand_command,
    "export": finished.export_command,
    "rerun": finished.rerun_command,
    "predict": finished.predict_command,
    "suggest-labels": finished.suggest_labels_command,
    "study": runs.study_command,
    "data": lists.data_command,
    "data plot": lists.data_plot_command,
    "encoders": lists.encoders_command,
    "check-encoder": lists.check_encoder_command,
    "students": lists.students_command,
    "methods": lists.methods_command,
    "zoo build": zoo.build_command,
    "zoo list": zoo.list_command,
    "zoo show": zoo.show_command,
    "zoo add": zoo.add_command,
    "zoo verify": zoo.verify_command,
    "zoo index": zoo.index_command,
    "cache": lists.cache_command,
    "cache prune": lists.cache_prune_command,
    "doctor": lists.doctor_command,
}


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
