"""Commands about a run that is done."""

from __future__ import annotations

from hatlit.cli.words import HELP, folder_of, load_plugins
from hatlit.config import ExportConfig, PredictConfig, RerunConfig, SuggestConfig
from hatlit.errors import InputError
from hatlit.options import parse


def export_command(words: list[str]) -> int:
    """Runs ``hatlit export``."""
    run, rest = folder_of(words, "export", what="RUN")
    config = parse(ExportConfig, "export RUN", "Turns the student of a run folder into a file for a device.", rest)
    from hatlit.experiments.display import Display
    from hatlit.experiments.export import export_run

    load_plugins(config.plugin)
    export_run(run, config, Display())
    return 0


def rerun_command(words: list[str]) -> int:
    """Runs ``hatlit rerun``."""
    run, rest = folder_of(words, "rerun", what="RUN")
    config = parse(RerunConfig, "rerun RUN", "Repeats a finished run and compares what comes out.", rest)
    from hatlit.experiments.display import Display
    from hatlit.experiments.rerun import rerun

    return 0 if rerun(run, config, Display()) else 1


def predict_command(words: list[str]) -> int:
    """Runs ``hatlit predict``."""
    count = next((place for place, word in enumerate(words) if word.startswith("-")), len(words))
    if count < 2 and not set(words) & set(HELP):
        raise InputError(f"'hatlit predict' wants RUN INPUT ..., not: {' '.join(words[:count]) or 'nothing'}.")
    about = "Says what a student, of a run folder or an exported file, makes of files and folders, as JSON lines."
    config = parse(PredictConfig, "predict RUN INPUT ...", about, words[count:])
    from hatlit.experiments.predict import predict_files

    load_plugins(config.plugin)
    return 0 if predict_files(words[0], words[1:count], config.rate) else 2


def suggest_labels_command(words: list[str]) -> int:
    """Runs ``hatlit suggest-labels``."""
    run, rest = folder_of(words, "suggest-labels", what="RUN")
    about = "Says which unlabelled training samples of a run's target to label next, in order, and why."
    config = parse(SuggestConfig, "suggest-labels RUN", about, rest)
    from hatlit.experiments.display import Display
    from hatlit.experiments.suggest_labels import suggest_labels

    load_plugins(config.plugin)
    suggest_labels(run, config, Display())
    return 0
