import base64
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
import torch

from hatlit.experiments.folder import RunFolder
from hatlit.experiments.report.page import write_report

METRICS = "epoch,loss/student,mixer/accuracy,alpha\n0,1.5,0.5,0.1\n1,1.0,0.75,0.2\n"


class Page(HTMLParser):
    """The text of a page, its tags, and everything it refers to."""

    def __init__(self, content):
        super().__init__()
        self.tags, self.references, self.text = [], [], ""
        self.feed(content)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.references += [value for name, value in attributes if name in ("src", "href", "srcset", "action", "data")]

    def handle_data(self, data):
        self.text += f"{data} "


@pytest.fixture(autouse=True)
def quickly_drawn(request, monkeypatch):
    """Only one of these tests is about the picture."""
    if "picture" not in request.node.name:
        monkeypatch.setattr("hatlit.experiments.report.page.run_figure", lambda *given: b"\x89PNG")


@pytest.fixture
def write(tmp_path):
    """Writes the report of a result; returns its source and what a browser makes of it."""

    def run(result, selection, weights=None, metrics=METRICS):
        folder = RunFolder(tmp_path / "run")
        if metrics is not None:
            folder.write("metrics.csv", metrics)
        write_report(folder, result, selection, weights)
        content = (folder.path / "report.html").read_text()
        return content, Page(content)

    return run


def test_the_page_loads_nothing_from_elsewhere(write, result, selection):
    content, page = write(result, selection)
    assert not re.search(r"https?:|@import|url\(", content)
    assert all(reference.startswith("data:") for reference in page.references)
    assert not {"script", "link", "iframe", "object"} & set(page.tags)


def test_the_picture_is_in_the_page_and_beside_it(write, result, selection, tmp_path):
    _, page = write(result, selection, torch.full((10, 2), 0.5))
    (reference,) = page.references
    kind, picture = reference.split(",")
    assert kind == "data:image/png;base64"
    assert base64.b64decode(picture) == (tmp_path / "run" / "report.png").read_bytes()


def test_the_page_has_the_numbers_of_the_result(write, result, selection):
    _, page = write(result, selection)
    for scores in (result, result["labels_only"], result["mixer"]):
        for name in ("accuracy", "balanced_accuracy", "macro_f1"):
            assert f"{scores[name]:.3f}" in page.text
    for text in (
        "hat on spar, target ann",
        "3 classes",
        "3 labelled of 421 training samples",
        "187 test samples",
        "cnn_nano",
        "12,345 parameters",
        "49.4 kB",
        "876.5 kB",
        "3.2 kB",
        "5.4 MB",
        "45.67",
        "46.90",
        "torch 2.9.0",
        "seed 17",
        "0123456789abcdef",
    ):
        assert text in page.text, text


def test_the_page_accounts_for_every_source(write, result, selection):
    _, page = write(result, selection)
    for verdict in selection.verdicts:
        assert verdict.domain in page.text
        assert verdict.reason in page.text
    for text in ("0.910", "0.730", "-0.400"):
        assert text in page.text


def test_a_method_that_asks_no_sources(write, alone):
    content, page = write(alone, None, metrics="epoch,loss/student\n0,1.5\n")
    assert "asks no sources" in page.text
    assert "Nothing was sent" in page.text
    assert page.text.count("labels_only") >= 2
    assert "None" not in content


def test_demo_data_are_called_so(write, result, selection):
    said = "Demo data: simulated, not recorded."
    assert said not in write(result, selection)[1].text
    assert said in write({**result, "is_demo": True}, selection)[1].text


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", "a & b", '"quoted" <b>'])
def test_names_are_shown_and_not_obeyed(write, result, selection, name):
    usual = write(result, selection)[1].tags
    odd = replace(
        selection, verdicts=[replace(one, domain=name, reason=name, encoder=name) for one in selection.verdicts]
    )
    changed = {**result, "target": name, "data": name, "student": {**result["student"], "encoder": name}}
    content, page = write({**changed, "versions": {"torch": name}}, odd)
    assert page.tags == usual
    assert page.text.count(name) >= 1 + 3 * len(odd.verdicts)
    assert "<script>" not in content


def test_a_run_without_its_table_of_epochs_still_has_a_page(write, result, selection):
    assert "46.90" in write(result, selection, metrics=None)[1].text


def test_of_very_many_sources_the_first_are_shown(write, result, selection):
    few, _ = write(result, selection)
    assert "more, which are in" not in few
    many = replace(selection, verdicts=[replace(selection.verdicts[0], id=f"source-{n}") for n in range(1234)])
    _, page = write(result, many)
    assert "source-199" in page.text and "source-200" not in page.text
    assert "And 1,034 more" in page.text
