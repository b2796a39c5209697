"""What the options have in common: lists of names, texts, numbers with a least value, and shares."""

from __future__ import annotations

from hatlit.errors import InputError

#: Several names: a list in YAML, or one text with commas.
Names = list[str] | str


def names(several: Names) -> list[str]:
    """Several names as a list."""
    parts = several.split(",") if isinstance(several, str) else several
    return [part.strip() for part in parts if part.strip()]


def at_least(option: str, config: object, **least: float) -> None:
    """Refuses numbers that are too small, named as the user types them.

    Raises:
        InputError: one of them is.
    """
    for name, bound in least.items():
        value = getattr(config, name)
        if not value >= bound:
            raise InputError(f"--{option}{name} must be at least {bound}, not {value}.")


def not_empty(config: object, name: str, instead: str) -> None:
    """Refuses an empty text, as an unset variable of the shell leaves behind.

    Raises:
        InputError: it is empty; the sentence ends with what to do ``instead``.
    """
    if getattr(config, name) == "":
        raise InputError(f"--{name} is empty; {instead}.")


def share(option: str, config: object, *names: str) -> None:
    """Refuses what is no share from 0 to 1, named as the user types it.

    Raises:
        InputError: one of the options is none.
    """
    for name in names:
        value = getattr(config, name)
        if not 0 <= value <= 1:
            raise InputError(f"--{option}{name} must be a share from 0 to 1, not {value}.")
