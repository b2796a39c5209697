"""Commands that show what there is."""

from __future__ import annotations

from hatlit.cli.words import load_plugins
from hatlit.config import DoctorConfig, ListConfig, PlotConfig, PruneConfig, StudentsConfig
from hatlit.options import parse


def data_command(words: list[str]) -> int:
    """Runs ``hatlit data``."""
    config = parse(ListConfig, "data", "Lists the data sets.", words)
    from hatlit.experiments.display import Display
    from hatlit.experiments.listings import list_data

    load_plugins(config.plugin)
    list_data(Display())
    return 0


def data_plot_command(words: list[str]) -> int:
    """Runs ``hatlit data plot``."""
    config = parse(PlotConfig, "data plot", "Draws some samples of each domain.", words)
    from hatlit.experiments.display import Display
    from hatlit.experiments.plot import plot_samples

    load_plugins(config.plugin)
    plot_samples(config, Display())
    return 0


def encoders_command(words: list[str]) -> int:
    """Runs ``hatlit encoders``."""
    config = parse(ListConfig, "encoders", "Lists the encoders.", words)
    from hatlit.experiments.display import Display
    from hatlit.experiments.listings import list_encoders

    load_plugins(config.plugin)
    list_encoders(Display())
    return 0


def check_encoder_command(words: list[str]) -> int:
    """Runs ``hatlit check-encoder``."""
    if not words or set(words) & {"--help", "-h"} or any(word.startswith("-") for word in words):
        print("usage: hatlit check-encoder FILE.py ...")
        return 0 if set(words) & {"--help", "-h"} else 2
    from hatlit.experiments.conformance import check_plugins
    from hatlit.experiments.display import Display

    return 0 if check_plugins(words, Display()) else 2


def students_command(words: list[str]) -> int:
    """Runs ``hatlit students``."""
    config = parse(StudentsConfig, "students", "Lists the architectures that can be students, cheapest first.", words)
    from hatlit.experiments.display import Display
    from hatlit.experiments.listings import list_students

    load_plugins(config.plugin)
    list_students(config, Display())
    return 0


def methods_command(words: list[str]) -> int:
    """Runs ``hatlit methods``."""
    config = parse(ListConfig, "methods", "Lists the methods.", words)
    from hatlit.experiments.display import Display
    from hatlit.experiments.listings import list_methods

    load_plugins(config.plugin)
    list_methods(Display())
    return 0


def cache_command(words: list[str]) -> int:
    """Runs ``hatlit cache``."""
    parse(ListConfig, "cache", "Lists what is kept to save computing it again.", words)
    from hatlit.experiments.cache import list_cache
    from hatlit.experiments.display import Display

    list_cache(Display())
    return 0


def cache_prune_command(words: list[str]) -> int:
    """Runs ``hatlit cache prune``."""
    config = parse(PruneConfig, "cache prune", "Removes from the cache what was not used for long.", words)
    from hatlit.experiments.cache import prune
    from hatlit.experiments.display import Display

    prune(config, Display())
    return 0


def doctor_command(words: list[str]) -> int:
    """Runs ``hatlit doctor``."""
    config = parse(DoctorConfig, "doctor", "Says what is installed, and what is missing for what.", words)
    from hatlit.experiments.display import Display
    from hatlit.experiments.doctor import doctor

    doctor(config, Display())
    return 0
