"""Options: command line, YAML files and the shipped settings of methods and modalities become one dataclass."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from jsonargparse import ArgumentParser, Namespace

from hatlit.errors import InputError, nearest

C = TypeVar("C")

#: The shipped settings: one file a method or modality whose defaults differ from those of the dataclasses.
CONFIGS = Path(__file__).parent / "configs"


def parse(kind: type[C], command: str, description: str, words: Sequence[str], method: str | None = None) -> C:
    """Reads the options of one command.

    What is said later wins: defaults of the dataclass, shipped settings of the modality and of the method, the file
    given with ``--config``, the command line.

    Args:
        kind: dataclass of the options.
        command: as the user types it, for help and messages.
        description: one line for the help.
        words: the command line behind the command.
        method: whose shipped settings count, where the options themselves do not name one.

    Raises:
        InputError: an option is unknown, of the wrong type, or contradicts another one.
    """
    chosen = _parse_once(kind, command, description, words, [])
    settings = {"modality": chosen.get("modality"), "method": method or chosen.get("method")}
    shipped = [CONFIGS / group / f"{name}.yaml" for group, name in settings.items() if name]
    present = [path for path in shipped if path.is_file()]
    if present:
        chosen = _parse_once(kind, command, description, words, present)
    for name in ("config", "__default_config__"):
        chosen.pop(name, None)
    return _build(kind, chosen.as_dict())


def option_names(kind: type, prefix: str = "") -> Iterator[str]:
    """Every option of a dataclass and of those inside it, as dotted names."""
    hints = get_type_hints(kind)
    for field in fields(kind):
        name = f"{prefix}{field.name}"
        if is_dataclass(hints[field.name]):
            yield from option_names(hints[field.name], f"{name}.")
        else:
            yield name


def _parse_once(kind: type, command: str, description: str, words: Sequence[str], shipped: list[Path]) -> Namespace:
    parser = ArgumentParser(
        prog=f"hatlit {command}",
        description=description,
        exit_on_error=False,
        allow_abbrev=False,
        default_config_files=[str(path) for path in shipped],
    )
    parser.add_argument("--config", action="config", help="YAML file with any of the options below")
    parser.add_class_arguments(kind)
    try:
        return parser.parse_args(list(words))
    except (argparse.ArgumentError, argparse.ArgumentTypeError, TypeError, ValueError) as error:
        raise InputError(_explain(str(error), kind)) from error


def _build(kind: type[C], values: dict[str, Any]) -> C:
    """Builds a dataclass, and those inside it, from plain values; their own checks run here."""
    hints = get_type_hints(kind)
    inner = {
        name: _build(hints[name], value) if is_dataclass(hints[name]) and isinstance(value, dict) else value
        for name, value in values.items()
    }
    return kind(**inner)


def _explain(message: str, kind: type) -> str:
    """Turns what the parser says into one sentence, with the nearest known names for an unknown one."""
    known = list(option_names(kind))
    unrecognised = re.search(r"unrecognized arguments: (\S+)", message)
    in_group = re.search(r"Group '([\w.]+)' does not accept option '([\w.]+)'", message)
    at_top = re.search(r"Option '([\w.]+)' is not accepted", message)
    if unrecognised and not unrecognised[1].startswith("-"):
        return f"'{unrecognised[1]}' stands alone on the command line; options begin with --."
    if unrecognised or in_group or at_top:
        name = _unknown_option(unrecognised, in_group, at_top)
        close = " or ".join(f"--{one}" for one in nearest(name, known))
        return f"Unknown option '{name}': " + (f"did you mean {close}?" if close else "--help lists them.")
    wrong = re.match(r'Parser key "([\w.]+)":\s*(.*)', message, re.DOTALL)
    if wrong:
        return f"--{wrong[1]}{_wrong_value(wrong[2])}."
    return f"The options cannot be read: {_on_one_line(message)}."


def _unknown_option(*matches: re.Match[str] | None) -> str:
    match = next(one for one in matches if one)
    return ".".join(match.groups()).lstrip("-").split("=")[0]


def _wrong_value(text: str) -> str:
    """What a value must be and what it is instead, from the parser's many lines about it."""
    classes = re.findall(r"Expected an? <class '(\w+)'>", text)
    choices = re.findall(r"Expected an? typing\.Literal\[(.*?)\]", text)
    given = re.search(r"(?:Given value|Got value): (.*)", text)
    wanted = [*choices, *("nothing" if name == "NoneType" else name for name in classes)]
    if not wanted or not given:
        return f": {_on_one_line(text)}"
    return f" must be {' or '.join(dict.fromkeys(wanted))}, not '{given[1].strip()}'"


def _on_one_line(text: str) -> str:
    return re.sub(r"\s*\n\s*", ", ", text.strip()).rstrip(".")
