"""What ``hatlit data plot`` does."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hatlit.config import PlotConfig
from hatlit.experiments.display import Display
from hatlit.experiments.fleet import read_domains
from hatlit.experiments.report.samples import samples_figure
from hatlit.files import write_atomically


def plot_samples(config: PlotConfig, display: Display) -> None:
    """Draws a sample of each class for some domains, evenly spread over the data set.

    Raises:
        InputError: the data cannot be read.
    """
    data = read_domains(config.modality, config.data, display)
    count = min(config.domains, len(data.domains))
    chosen = [data.domains[n] for n in np.linspace(0, len(data.domains) - 1, count).round().astype(int)]
    write_atomically(Path(config.out), samples_figure(data, chosen))
    display.say(f"wrote {config.out}: {', '.join(domain.name for domain in chosen)} of {data.name}")
