"""Reviews as they were published: not well-formed, with lost characters, and some of them twice."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hatlit.datamodules.base import DomainSet
from hatlit.datamodules.datasets.arrays import arrays
from hatlit.datamodules.datasets.mdsd import CATEGORIES, CLASSES, mdsd
from hatlit.datamodules.text import texts_of
from hatlit.errors import InputError

REVIEW = b"""<review>
<unique_id>
1:%(title)s:somebody
</unique_id>
<title>
%(title)s
</title>
<reviewer>
A & B <c>
</reviewer>
<review_text>
%(text)s
</review_text>
</review>
"""


def write(root: Path, category: str, sentiment: str, *reviews: tuple[bytes, bytes]) -> None:
    folder = root / "sorted_data_acl" / category
    folder.mkdir(parents=True, exist_ok=True)
    content = b"".join(REVIEW % {b"title": title, b"text": text} for title, text in reviews)
    (folder / f"{sentiment}.review").write_bytes(b"<reviews>\n" + content)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write(tmp_path, "books", "negative", (b"Dull & long", b"a < b\n\nand so on"), (b"Bad", b"na\x1ave caf\xe9"))
    write(tmp_path, "books", "positive", (b"Good", b"I liked it."), (b"Good", b"I liked it."), (b"Good", b"Yes."))
    write(tmp_path, "dvd", "positive", (b"Good", b"I liked it."))
    return tmp_path


def read(root: Path) -> DomainSet:
    return mdsd(root, "text")


def test_title_and_text_of_each_review(root: Path) -> None:
    fleet = read(root)
    assert fleet.names == ["books", "dvd"]
    assert fleet.class_names == CLASSES
    books = fleet.domain("books")
    assert books.labels.tolist() == [0, 0, 1, 1, 1]
    assert texts_of(books.samples)[0] == b"Dull & long\na < b\n\nand so on"
    assert books.samples.shape == (5, 1, books.recorded.shape[0])
    assert books.samples.dtype == np.uint8


def test_lost_characters_do_no_harm(root: Path) -> None:
    assert texts_of(read(root).domain("books").samples)[1] == "Bad\nna ve caf�".encode()


def test_equal_reviews_of_a_category_are_one_group(root: Path) -> None:
    books, dvd = read(root).domains
    assert books.groups[2] == books.groups[3]
    assert len(set(books.groups)) == 4
    assert dvd.groups[0] not in books.groups


@pytest.mark.parametrize("inside", ["", "sorted_data_acl"])
def test_root_may_be_any_folder_of_the_layout(root: Path, inside: str) -> None:
    assert len(read(root / inside).domains) == 2


def test_refuses_no_root_and_a_folder_without_reviews(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"--data\.root"):
        mdsd(None, "text")
    with pytest.raises(InputError, match="sorted_data_acl"):
        read(tmp_path)
    (tmp_path / "sorted_data_acl").mkdir()
    with pytest.raises(InputError, match="holds no review"):
        read(tmp_path)
    write(tmp_path, "books", "negative")
    with pytest.raises(InputError, match="holds no review"):
        read(tmp_path)


@pytest.mark.real_data
def test_same_texts_as_the_npz(real_data_root: Path) -> None:
    fleet = read(real_data_root / "raw" / "text" / "mdsd")
    reference = arrays(real_data_root / "text-mdsd.npz", "text")
    assert fleet.names == reference.names == list(CATEGORIES)
    assert fleet.class_names == reference.class_names
    for own, known in zip(fleet.domains, reference.domains, strict=True):
        assert np.array_equal(own.samples, known.samples)
        assert np.array_equal(own.labels, known.labels)
        assert own.recorded == known.recorded
    assert sum(len(set(domain.groups)) for domain in fleet.domains) == 8000 - 146
