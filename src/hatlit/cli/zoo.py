"""Commands about a zoo."""

from __future__ import annotations

from hatlit.cli.words import folder_of, load_plugins
from hatlit.config import ListConfig, ZooAddConfig, ZooAddRunConfig, ZooBuildConfig
from hatlit.options import parse


def build_command(words: list[str]) -> int:
    """Runs ``hatlit zoo build``."""
    config = parse(ZooBuildConfig, "zoo build", "Trains one source a domain and keeps them in a zoo.", words)
    from hatlit.experiments.display import Display
    from hatlit.experiments.zoo import build

    load_plugins(config.plugin)
    build(config, Display())
    return 0


def add_command(words: list[str]) -> int:
    """Runs ``hatlit zoo add``."""
    folder, rest = folder_of(words, "zoo add")
    if rest and not rest[0].startswith("-"):
        return _zoo_add_run(folder, rest[0], rest[1:])
    config = parse(ZooAddConfig, "zoo add DIR", "Adds a trained model to the zoo in DIR.", rest)
    from hatlit.experiments.display import Display
    from hatlit.experiments.zoo import add

    load_plugins(config.plugin)
    add(folder, config, Display())
    return 0


def _zoo_add_run(folder: str, run: str, words: list[str]) -> int:
    config = parse(ZooAddRunConfig, "zoo add DIR RUN", "Adds the student of a run folder to the zoo in DIR.", words)
    from hatlit.experiments.display import Display
    from hatlit.experiments.zoo import add_run

    load_plugins(config.plugin)
    add_run(folder, run, config, Display())
    return 0


def list_command(words: list[str]) -> int:
    """Runs ``hatlit zoo list``."""
    folder, _ = folder_of(words, "zoo list", 1)
    from hatlit.experiments.display import Display
    from hatlit.experiments.zoo import list_sources

    list_sources(folder, Display())
    return 0


def show_command(words: list[str]) -> int:
    """Runs ``hatlit zoo show``."""
    folder, rest = folder_of(words, "zoo show", 2)
    from hatlit.experiments.display import Display
    from hatlit.experiments.zoo import show

    show(folder, rest[0], Display())
    return 0


def verify_command(words: list[str]) -> int:
    """Runs ``hatlit zoo verify``."""
    folder, rest = folder_of(words, "zoo verify")
    config = parse(ListConfig, "zoo verify DIR", "Checks every source of the zoo in DIR against its card.", rest)
    from hatlit.experiments.display import Display
    from hatlit.experiments.zoo import verify

    load_plugins(config.plugin)
    return 0 if verify(folder, Display()) else 2


def index_command(words: list[str]) -> int:
    """Runs ``hatlit zoo index``."""
    folder, _ = folder_of(words, "zoo index", 1)
    from hatlit.experiments.display import Display
    from hatlit.experiments.zoo import rebuild_index

    rebuild_index(folder, Display())
    return 0
