"""What the pictures of a report have in common: size, titles, and labels that keep out of each other's way."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

#: Dots of a picture to the inch: fine enough for print.
RESOLUTION = 144

#: Characters of a name in a picture at most; tables have it whole.
LONGEST = 28

#: Points (1/72 inch) around a mark that labels keep clear of.
CLEARANCE = 5.0


def new_figure(width: float, height: float, title: str, where: str) -> Figure:
    """An empty figure (sizes in inches) whose title says what it shows and on which data."""
    figure = Figure(figsize=(width, height), dpi=RESOLUTION, layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(f"{title}\n{shorten(where, 100)}", fontsize=11, parse_math=False)
    return figure


def as_png(figure: Figure) -> bytes:
    """The figure as a PNG."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=RESOLUTION)
    return stream.getvalue()


def shorten(name: str, longest: int = LONGEST) -> str:
    """A name on one line, and not longer than a picture has room for."""
    line = " ".join(name.split())
    return line if len(line) <= longest else f"{line[: longest - 9]}...{line[-6:]}"


def name_ticks(axes: Axes, which: str, names: Sequence[str], size: float = 9, rotation: float = 0) -> None:
    """Writes one name at each of the places 0, 1, 2, ... of an axis."""
    axis = {"x": axes.xaxis, "y": axes.yaxis}[which]
    axis.set_ticks(range(len(names)), [shorten(name) for name in names], fontsize=size, parse_math=False)
    if rotation:
        axis.set_tick_params(rotation=rotation)


def spread(values: Sequence[float], gap: float) -> list[float]:
    """Moves values as little as possible (least squares) so that neighbours are at least a gap apart."""
    order = np.argsort(values, kind="stable")
    groups: list[tuple[float, int]] = []
    for place, number in enumerate(order):
        mean, size = values[number] - place * gap, 1
        while groups and groups[-1][0] > mean:  # neighbours that are too close move as one
            before, count = groups.pop()
            mean, size = (before * count + mean * size) / (count + size), count + size
        groups.append((mean, size))
    moved = np.empty(len(values))
    moved[order] = np.repeat([mean for mean, _ in groups], [size for _, size in groups]) + gap * np.arange(len(values))
    return [float(value) for value in moved]


def label_points(axes: Axes, points: Sequence[tuple[float, float]], names: Sequence[str], size: float = 8) -> None:
    """Writes a name to the right or left of each point, where it covers neither a point nor another name.

    Call it last: it relies on where everything else has come to stand.
    """
    figure = axes.figure
    assert isinstance(figure, Figure) and isinstance(figure.canvas, FigureCanvasAgg)
    figure.draw_without_rendering()
    renderer, scale = figure.canvas.get_renderer(), figure.dpi / 72
    centres = axes.transData.transform(np.asarray(points, dtype=float))
    taken = [_around(x, y, 2 * CLEARANCE * scale, 2 * CLEARANCE * scale) for x, y in centres]
    room = axes.get_window_extent()
    for number in np.argsort([-y for _, y in points], kind="stable"):  # downwards, so that the lines do not cross
        text = axes.text(0, 0, shorten(names[number]), fontsize=size, parse_math=False)
        box = text.get_window_extent(renderer)
        text.remove()
        right, up, area = _free_place(centres[number], box.width + CLEARANCE * scale, box.height, scale, taken, room)
        taken.append(area)
        _write_beside(axes, points[number], shorten(names[number]), right, up, size)


def _free_place(
    centre: np.ndarray, width: float, height: float, scale: float, taken: Sequence[Bbox], room: Bbox
) -> tuple[float, float, Bbox]:
    """How far from a point (in points of 1/72 inch) the middle of its label stands, and what it covers there."""
    right, up, area = 0.0, 0.0, Bbox.null()
    for right, up in _places(width / scale):
        area = _around(centre[0] + right * scale, centre[1] + up * scale, width, height)
        inside = room.x0 <= area.x0 and area.x1 <= room.x1 and room.y0 <= area.y0 and area.y1 <= room.y1
        if inside and not any(area.overlaps(other) for other in taken):
            break
    return right, up, area


def _places(width: float) -> Iterator[tuple[float, float]]:
    """Places beside a point, level ones first; the farther up or down, the farther away, so that lines stay apart."""
    for rise in np.arange(0.0, 300.0, 3.0):
        across = CLEARANCE + 3 + min(rise, 60) / 2 + width / 2
        yield from ((across, -rise), (-across, -rise), (across, rise), (-across, rise))


def _write_beside(axes: Axes, point: tuple[float, float], name: str, right: float, up: float, size: float) -> None:
    line = {"arrowstyle": "-", "color": "#777777", "linewidth": 0.7, "shrinkA": 1, "shrinkB": 0}
    text = axes.annotate(
        name,
        point,
        (right, up),
        textcoords="offset points",
        ha="center",
        va="center",
        fontsize=size,
        parse_math=False,
        arrowprops={**line, "relpos": (0 if right > 0 else 1, 0.5)} if up else None,
    )
    text.set_in_layout(False)


def _around(x: float, y: float, width: float, height: float) -> Bbox:
    return Bbox.from_bounds(x - width / 2, y - height / 2, width, height)
