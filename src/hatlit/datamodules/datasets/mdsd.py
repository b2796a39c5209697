"""Reviews of products, and whether they are good or bad."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from hatlit.datamodules.base import DomainSet, register_dataset
from hatlit.datamodules.datasets.common import find, part
from hatlit.datamodules.datasets.download import DOWNLOADS, Archive, Download
from hatlit.datamodules.text import common_length, groups_of_texts, pad_texts, recorded_form
from hatlit.errors import InputError

PUBLISHED = "sorted_data_acl"
CATEGORIES = ("books", "dvd", "electronics", "kitchen_&_housewares")
CLASSES = ("negative", "positive")

# The files look like XML but escape nothing, so no parser of XML can read them.
_REVIEW = re.compile(r"<review>(.*?)</review>", re.DOTALL)
_TITLE = re.compile(r"<title>(.*?)</title>", re.DOTALL)
_TEXT = re.compile(r"<review_text>(.*?)</review_text>", re.DOTALL)
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")  # left over from characters that were lost


DOWNLOADS.add(
    "mdsd",
    Download(
        page="https://www.cs.jhu.edu/~mdredze/datasets/sentiment/",
        parts=(
            Archive(
                url="https://www.cs.jhu.edu/~mdredze/datasets/sentiment/domain_sentiment_data.tar.gz",
                path=PUBLISHED,
                inside=f"(?:.*/)?{PUBLISHED}/",
                members=rf"(?:{'|'.join(CATEGORIES)})/(?:{'|'.join(CLASSES)})\.review",
                count=8,
                sha256="64a2dab575275edad31768e733b3c1db8fade4a658d2b5bbb9ed84b35af628e6",
                size=2**27,
                text=True,
            ),
        ),
    ),
)


@register_dataset("mdsd", "text")
def mdsd(root: Path | None, modality: str) -> DomainSet:
    """MDSD: 4 categories of products x 2 sentiments, 8000 reviews in English; title and text.

    Reviews that say exactly the same are one group, so no split parts them.

    Licence: for research (the authors publish the reviews without a licence).
    Citation: J. Blitzer, M. Dredze, F. Pereira, "Biographies, Bollywood, Boom-boxes and Blenders: Domain Adaptation for
        Sentiment Classification", Association of Computational Linguistics, 2007.
    Source: https://www.cs.jhu.edu/~mdredze/datasets/sentiment/

    Args:
        root: the folder that holds ``sorted_data_acl``, or that folder itself.
        modality: text.

    Raises:
        InputError: the folder does not hold a single review.
    """
    folder = find(root, PUBLISHED, "mdsd")
    texts: list[bytes] = []
    codes: list[tuple[int, int]] = []
    for category, name in enumerate(CATEGORIES):
        for number, sentiment in enumerate(CLASSES):
            found = list(_read(folder / name / f"{sentiment}.review"))
            texts += found
            codes += [(category, number)] * len(found)
    if not texts:
        raise InputError(f"'{folder}' holds no review in {CATEGORIES[0]}/{CLASSES[0]}.review or any of its siblings.")
    category_of, labels = np.array(codes).T
    samples = pad_texts(texts, common_length(texts))
    domains = part(
        samples=samples,
        labels=labels,
        groups=groups_of_texts(texts, category_of),
        domain=category_of,
        domain_names=CATEGORIES,
        class_names=CLASSES,
        recorded=recorded_form(samples.shape[2]),
    )
    return DomainSet("mdsd", modality, domains, CLASSES)


def _read(file: Path) -> Iterator[bytes]:
    """The reviews of a file, none where there is no such file: title, a line's end, and text, in UTF-8."""
    if not file.is_file():
        return
    for review in _REVIEW.findall(file.read_text(encoding="utf-8", errors="replace")):
        parts = [found[1].strip() for found in (_TITLE.search(review), _TEXT.search(review)) if found]
        yield _CONTROL.sub(" ", "\n".join(parts)).encode()
