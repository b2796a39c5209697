"""Options: command line, YAML files and the shipped settings of methods and modalities become one dataclass."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, get_args, get_type_hints

import yaml
from jsonargparse import ArgumentParser, Namespace

from hatlit.config import ExpansionConfig
from hatlit.errors import InputError, nearest, printable

C = TypeVar("C")

#: Signs of a message about options, which may repeat what a file says.
LONGEST = 1000

#: Types of values as a message calls them.
TYPES = {"NoneType": "nothing", "int": "a whole number", "float": "a number", "bool": "true or false", "str": "text"}

#: The shipped settings: one file a method or modality whose defaults differ from those of the dataclasses.
CONFIGS = Path(__file__).parent / "configs"


def parse(kind: type[C], command: str, description: str, words: Sequence[str], method: str | None = None) -> C:
    """Reads the options of one command.

    What is said later wins: defaults of the dataclass, shipped settings of the modality and of the method, the file
    given with ``--config``, the command line. There ``--fast`` is ``--fast true``. Where several methods are set side
    by side, each keeps the settings that make it what it is, whatever file and command line say to all of them.

    Args:
        kind: dataclass of the options.
        command: as the user types it, for help and messages.
        description: one line for the help.
        words: the command line behind the command.
        method: one of several methods, whose shipped settings win; None where the options themselves name theirs.

    Raises:
        InputError: an option is unknown, of the wrong type, or contradicts another one.
    """
    words = _with_values(_files_first(words), kind)
    chosen = _parse_once(kind, command, description, words)
    first = [*_shipped("modality", chosen.get("modality"), kind), *_shipped("method", chosen.get("method"), kind)]
    last = _shipped("method", method, kind)
    if first or last:
        chosen = _parse_once(kind, command, description, [*first, *words, *last])
    chosen.pop("config", None)
    return _build(kind, chosen.as_dict())


def kept_settings(kind: type, command: str, description: str, words: Sequence[str], method: str) -> list[str]:
    """Options that one of several methods keeps as it ships them, although file or command line say otherwise."""
    own = _shipped("method", method, kind)
    if not own:
        return []
    words = _with_values(_files_first(words), kind)
    first = _shipped("modality", _parse_once(kind, command, description, words).get("modality"), kind)
    said = _parse_once(kind, command, description, [*first, *own, *words])
    kept = _parse_once(kind, command, description, [*first, *words, *own])
    return [f"--{name}" for name in option_names(kind) if said.get(name) != kept.get(name)]


def as_words(settings: Mapping[str, Any]) -> list[str]:
    """Settings, those of a group in a mapping of their own, as the user would type them on the command line."""
    return [
        f"--{name}={value if isinstance(value, str | Path) else json.dumps(value, default=str)}"
        for name, value in _flat(settings)
    ]


def option_names(kind: type, prefix: str = "") -> Iterator[str]:
    """Every option of a dataclass and of those inside it, as dotted names."""
    return (name for name, _ in _options(kind, prefix))


def _options(kind: type, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The options of ``option_names``, each with the type of its values."""
    hints = get_type_hints(kind)
    for field in fields(kind):
        name = f"{prefix}{field.name}"
        if is_dataclass(hints[field.name]):
            yield from _options(hints[field.name], f"{name}.")
        else:
            yield name, hints[field.name]


def _files_first(words: Sequence[str]) -> list[str]:
    """Puts every ``--config`` before all else, so that the command line wins wherever it names the file."""
    files: list[str] = []
    rest: list[str] = []
    for place, word in enumerate(words):
        names_it = place > 0 and words[place - 1] == "--config"
        of_file = names_it or word == "--config" or word.startswith("--config=")
        (files if of_file else rest).append(word)
    return [*files, *rest]


def _with_values(words: Sequence[str], kind: type) -> list[str]:
    """Gives each option of true or false that stands there without a value the value true."""
    switches = {f"--{name}" for name, values in _options(kind) if values is bool}
    followers = [*words[1:], "-"]
    return [
        f"{word}=true" if word in switches and follower.startswith("-") else word
        for word, follower in zip(words, followers, strict=False)
    ]


def _shipped(group: str, name: str | None, kind: type) -> list[str]:
    """Settings of a modality or method as the user would type them; none where it has none of its own."""
    files = [path for path in (CONFIGS / group).glob("*.yaml") if path.stem == name]
    return [word for path in files for word in _as_words(path, kind)]


def _as_words(path: Path, kind: type) -> list[str]:
    """A file of settings as the user would type them, without those that other commands have and this one lacks."""
    foreign = set(option_names(ExpansionConfig)) - set(option_names(kind))
    settings = _flat(yaml.safe_load(path.read_text()) or {})
    return as_words({name: value for name, value in settings if name not in foreign})


def _flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


@cache
def _parser(kind: type, command: str, description: str) -> ArgumentParser:
    parser = ArgumentParser(prog=f"hatlit {command}", description=description, exit_on_error=False, allow_abbrev=False)
    parser.add_argument("--config", action="config", help="YAML file with any of the options below")
    parser.add_class_arguments(kind)
    return parser


def _parse_once(kind: type, command: str, description: str, words: Sequence[str]) -> Namespace:
    try:
        return _parser(kind, command, description).parse_args(list(words))
    except (argparse.ArgumentError, argparse.ArgumentTypeError, TypeError, ValueError, RecursionError) as error:
        raise InputError(printable(_explain(str(error), kind), LONGEST)) from error


def _build(kind: type[C], values: dict[str, Any], prefix: str = "") -> C:
    """Builds a dataclass, and those inside it, from plain values; their own checks run here.

    Raises:
        InputError: where a dataclass belongs, a single value stands; or there is no value where one is needed.
    """
    hints = get_type_hints(kind)
    inner = {}
    for name, value in values.items():
        if is_dataclass(hints.get(name)):
            if not isinstance(value, dict):
                what = "left empty" if value is None else f"the value '{value}'"
                raise InputError(f"'{prefix}{name}' is a group of options, so it cannot be {what}.")
            value = _build(hints[name], value, f"{prefix}{name}.")
        elif value is None and name in hints and type(None) not in get_args(hints[name]):
            raise InputError(f"--{prefix}{name} is left empty; give it a value, or leave the line out.")
        if name in hints:  # the parser also notes which file a group came from
            inner[name] = value
    return kind(**inner)


def _explain(message: str, kind: type) -> str:
    """Turns what the parser says into one sentence, with the nearest known names for an unknown one."""
    known = ["config", *option_names(kind)]
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
    return _left_out(message) or f"The options cannot be read: {_on_one_line(message)}."


def _left_out(message: str) -> str | None:
    """What the user still has to give, where the parser misses an option or the value of one."""
    required = re.match(r"the following arguments are required: ([\w., ]+)$", message)
    if required:
        missing = [f"--{name}" for name in required[1].split(", ")]
        return f"{', '.join(missing)} {'are missing; give them' if missing[1:] else 'is missing; give it'}."
    bare = re.match(r"argument (--[\w.]+)\S*: expected one argument$", message)
    return f"{bare[1]} needs a value." if bare else None


def _unknown_option(*matches: re.Match[str] | None) -> str:
    match = next(one for one in matches if one)
    return ".".join(match.groups()).lstrip("-").split("=")[0]


def _wrong_value(text: str) -> str:
    """What a value must be and what it is instead, from the parser's many lines about it."""
    classes = re.findall(r"Expected an? <class '(\w+)'>", text)
    choices = re.findall(r"'[^']*'", " ".join(re.findall(r"Expected an? typing\.Literal\[(.*?)\]", text)))
    given = re.search(r"(?:Given value|Got value): (.*)", text)
    # Versions of the parser name them in different orders; that there may be none comes last.
    wanted = [*choices, *(TYPES.get(name, name) for name in sorted(classes, key="NoneType".__eq__))]
    if not wanted or not given:
        return f": {_on_one_line(text)}"
    # YAML takes a bare off for false, and tells nobody.
    hint = "; put off in quotes" if given[1].strip() == "False" and "'off'" in choices else ""
    return f" must be {' or '.join(dict.fromkeys(wanted))}, not '{given[1].strip()}'" + hint


def _on_one_line(text: str) -> str:
    return re.sub(r"\s*\n\s*", ", ", text.strip()).rstrip(".")
