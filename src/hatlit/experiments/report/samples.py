"""A picture of what the samples of a data set look like: a row a domain, a column a class."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Callable, Sequence

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes

from hatlit.datamodules.base import MODALITIES, Domain, DomainSet, build_view
from hatlit.encoders.base import InputSpec

#: Classes and lines of a time series at most; more would be unreadable.
MAX_CLASSES = 6
MAX_LINES = 9


def samples_figure(data: DomainSet, domains: Sequence[Domain]) -> bytes:
    """Draws one sample of each class, as recorded, for some domains of a data set, as a PNG."""
    classes = range(min(len(data.class_names), MAX_CLASSES))
    figure, grid = plt.subplots(
        len(domains),
        len(classes),
        figsize=(2.1 * len(classes) + 0.6, 1.75 * len(domains) + 0.9),
        layout="constrained",
        squeeze=False,
    )
    figure.suptitle(_title(data, domains[0].recorded), fontsize=10, parse_math=False)
    for row, domain in enumerate(domains):
        for column in classes:
            axes = grid[row, column]
            _draw_one(axes, domain, column)
            if row == 0:
                axes.set_title(data.class_names[column], fontsize=9, parse_math=False)
        grid[row, 0].set_ylabel(domain.name, fontsize=9, parse_math=False)
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=100)
    plt.close(figure)
    return stream.getvalue()


def _title(data: DomainSet, spec: InputSpec) -> str:
    shown = ", ".join(spec.channels[:MAX_LINES]) + (", ..." if spec.num_channels > MAX_LINES else "")
    sizes = " x ".join(f"{axis} {size}" for axis, size in zip(spec.axes, spec.shape, strict=True))
    rate = f" at {spec.rate:g} Hz" if spec.rate else ""
    demo = " (demo data, simulated)" if data.is_demo else ""
    return f"{data.name}{demo}, {data.modality}: {sizes}{rate}\nchannels: {shown}"


def _draw_one(axes: Axes, domain: Domain, number: int) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    rows = np.flatnonzero(domain.labels == number)
    if not len(rows):
        axes.text(0.5, 0.5, "none", ha="center", va="center", color="grey", transform=axes.transAxes)
        return
    samples, spec = domain.tensor(rows[:1]), domain.recorded
    if spec.modality == "audio":  # an eye sees more in a spectrogram than in a waveform
        wanted = MODALITIES.get("audio").summary_view(spec)
        samples, spec = build_view(samples, spec, wanted), wanted
    DRAWN.get(spec.axes, _draw_map)(axes, samples[0], spec)


def _draw_series(axes: Axes, sample: torch.Tensor, spec: InputSpec) -> None:
    seconds = np.arange(sample.shape[1]) / (spec.rate or 1)
    shown = sample[:: max(1, -(-len(sample) // MAX_LINES))]
    axes.plot(seconds, shown.numpy().T, linewidth=0.7)
    axes.set_xticks([0, round(float(seconds[-1]), 1)])
    axes.tick_params(labelsize=6)
    axes.set_yticks([float(np.round(shown.min(), 1)), float(np.round(shown.max(), 1))])


def _draw_map(axes: Axes, sample: torch.Tensor, spec: InputSpec) -> None:
    """Maps of several channels stand below one another; time runs to the right and frequency upward."""
    parts = [part.numpy() for part in sample[:4]]
    rules = np.full((1, parts[0].shape[1]), np.nan)
    stacked = np.concatenate([piece for part in parts for piece in (part, rules)][:-1])
    axes.imshow(stacked, aspect="auto", origin="upper" if len(parts) > 1 else "lower", cmap="magma")


def _draw_picture(axes: Axes, sample: torch.Tensor, spec: InputSpec) -> None:
    if spec.modality == "depth":
        middle = sample[len(sample) // 2].numpy()
        axes.imshow(np.ma.masked_equal(middle, 0), cmap="viridis_r")
        axes.set_facecolor("lightgrey")  # where nothing was measured
    elif len(sample) == 3:
        axes.imshow((sample / max(1.0, float(sample.max()))).permute(1, 2, 0).numpy())
    else:
        axes.imshow(sample[0].numpy(), cmap="gray")


def _draw_points(axes: Axes, sample: torch.Tensor, spec: InputSpec) -> None:
    by_name = dict(zip(spec.channels, sample.numpy(), strict=True))
    across = by_name.get("x", sample[0].numpy())
    up = by_name.get("z", sample[min(1, len(sample) - 1)].numpy())
    axes.scatter(across, up, c=by_name.get("doppler", up), s=4, cmap="coolwarm")


def _draw_text(axes: Axes, sample: torch.Tensor, spec: InputSpec) -> None:
    text = bytes(sample[0].to(torch.uint8).tolist()).rstrip(b"\0").decode(errors="replace")
    lines = textwrap.wrap(" ".join(text.split()), 26)[:9]
    axes.text(0.02, 0.97, "\n".join(lines), fontsize=8, va="top", transform=axes.transAxes, parse_math=False)


DRAWN: dict[tuple[str, ...], Callable[[Axes, torch.Tensor, InputSpec], None]] = {
    ("time",): _draw_series,
    ("height", "width"): _draw_picture,
    ("point",): _draw_points,
    ("byte",): _draw_text,
}
