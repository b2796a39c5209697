import base64
import re
import shutil
import struct
import subprocess
from html.parser import HTMLParser

import numpy as np
import pytest

from hatlit.experiments.report.comparison import ComparisonReport, RunExample, write_comparison
from hatlit.experiments.report.drawing import as_png, new_figure

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
SCORES = ("accuracy", "balanced_accuracy", "macro_f1", "nll", "calibration_error")
ODD = "<script>alert('a & b')</script> $\\frac{$ |x"


class Page(HTMLParser):
    """The text of a page, its tags, its rows of tables, its images, and everything it refers to."""

    def __init__(self, content):
        super().__init__()
        self.tags, self.references, self.images, self.cells, self.text = [], [], [], [], ""
        self.feed(content)
        self.close()

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.tags.append(tag)
        self.references += [given[name] for name in ("src", "href", "srcset", "action", "data") if name in given]
        if tag == "img":
            self.images.append(given)
        if tag in ("td", "th"):
            self.cells.append([given.get("class"), ""])

    def handle_data(self, data):
        self.text += f"{data} "
        if self.tags and self.tags[-1] in ("td", "th") and data.strip():
            self.cells[-1][1] += data


@pytest.fixture(autouse=True)
def quickly_drawn(request, monkeypatch):
    """Only some of these tests are about the pictures."""
    if "picture" not in request.node.name:
        png = as_png(new_figure(1, 1, "", ""))
        monkeypatch.setattr("hatlit.experiments.report.comparison_figures.as_png", lambda figure: png)
        monkeypatch.setattr("hatlit.experiments.report.example_figures.as_png", lambda figure: png)


def method(accuracy, rank, **changed):
    interval = {"mean": accuracy, "low": accuracy - 0.031, "high": accuracy + 0.042}
    lead = {"mean": 0.8125 - accuracy, "low": -0.0123, "high": 0.0456}
    return {
        "n": 6,
        "failed": 0,
        "is_oracle": False,
        "needs_source_data": False,
        **dict.fromkeys(SCORES, interval),
        "training_seconds": 12.34,
        "peak_memory_bytes": 3.21e8,
        "bytes": 650_960.0,
        "bytes_by_stage": {"coarse": 3_200.0, "fine": 647_760.0, "transfer": 0.0},
        "student_bytes": 28_412.0,
        "average_rank": rank,
        "rank_among_variants": None,
        "against_reference": {"difference": lead, "wins": 4, "ties": 1, "losses": 1},
        **changed,
    }


@pytest.fixture
def summary():
    """What ``summary.json`` holds, with numbers that occur nowhere else."""
    return {
        "data": "spar",
        "is_demo": False,
        "modality": "imu",
        "targets": ["ann", "bob", "cid"],
        "seeds": 2,
        "labels": "1 a class",
        "command": "hatlit compare --data.name spar --seeds 2",
        "date": "2031-05-06",
        "versions": {"hatlit": "0.1.0", "torch": "2.9.0"},
        "data_fingerprint": "0123456789abcdef" * 4,
        "labels_fingerprint": "fedcba9876543210" * 4,
        "reference": "hat",
        "longest_preparation_seconds": 34.56,
        "methods": {
            "labels_only": method(0.5128, 2.875, bytes=0.0),
            "kd": method(0.6017, 2.125, n=5, failed=1),
            "hat": method(0.8125, 1.375, against_reference=None),
            "all_labels": method(0.9341, None, is_oracle=True),
        },
        "critical_difference": 1.913,
        "finding": "hat is ahead of labels_only (+30.0 points).",
    }


@pytest.fixture
def rows(summary):
    fine = [
        {"method": name, "target": target, "seed": seed, "accuracy": one["accuracy"]["mean"], "failed": ""}
        for name, one in summary["methods"].items()
        for target in summary["targets"]
        for seed in range(2)
    ]
    empty = dict.fromkeys(("accuracy", "bytes"))
    return [*fine, {"method": "kd", "target": "bob", "seed": 7, **empty, "failed": "InputError: no luck < today"}]


@pytest.fixture
def example(result):
    random = np.random.default_rng(0)
    score = {"coarse_score": -0.1, "reason": "selected"}
    sources = [
        {"id": name, **score, "fine_score": 0.9, "accuracy": 0.8, "selected": True} for name in result["sources"]
    ]
    epochs = [{"epoch": float(n), "mixer/accuracy": 0.5, "alpha": 0.1 * n, "dictionary/writes": n} for n in range(5)]
    weights, probabilities = random.dirichlet((1, 1), 40), random.dirichlet((1, 1, 1), 40)
    return RunExample(result, {"sources": sources}, epochs, weights, random.integers(0, 3, 40), probabilities)


@pytest.fixture
def write(tmp_path):
    """Writes a report; returns what a browser makes of it and what the Markdown says."""

    def run(summary, rows, example):
        write_comparison(tmp_path, ComparisonReport(summary, rows, example))
        return Page((tmp_path / "report.html").read_text()), (tmp_path / "report.md").read_text()

    return run


def test_the_page_loads_nothing_from_elsewhere(write, summary, rows, example, tmp_path):
    page, _ = write(summary, rows, example)
    assert not re.search(r"https?:|@import|url\(", (tmp_path / "report.html").read_text())
    assert all(reference.startswith("data:") for reference in page.references)
    assert not {"script", "link", "iframe", "object"} & set(page.tags)


def test_every_picture_is_in_the_page_and_beside_it(write, summary, rows, example, tmp_path):
    page, markdown = write(summary, rows, example)
    assert len(page.images) == 9
    linked = re.findall(r"\]\((figures/\w+\.png)\)", markdown)
    assert {tmp_path / link for link in linked} == set((tmp_path / "figures").iterdir())
    for image, link in zip(page.images, linked, strict=True):
        kind, data = image["src"].split(",")
        png = base64.b64decode(data)
        assert kind == "data:image/png;base64"
        assert png == (tmp_path / link).read_bytes()
        width, height = struct.unpack(">II", png[16:24])
        assert 500 < width < 3000
        assert 200 < height < 3000
        assert image["alt"]
        assert int(image["width"]) * height == pytest.approx(int(image["height"]) * width, rel=0.01)


def test_the_page_says_what_was_run_and_what_came_out(write, summary, rows, example):
    page, markdown = write(summary, rows, example)
    for text in (
        "spar: 4 methods, 3 targets, 2 seeds",
        "hatlit compare --data.name spar --seeds 2",
        "hatlit 0.1.0, torch 2.9.0",
        "2031-05-06",
        "ann, bob, cid",
        "0123456789abcdef",
        "fedcba9876543210",
        "hat is ahead of labels_only (+30.0 points).",
        "all_labels (oracle)",
        "81.2 [78.1, 85.5]",
        "+30.0 [-1.2, +4.6]",
        "4/1/1",
        "Training seconds and peak memory are medians",
        "2.88",
        "5 of 6",
        "12.3",
        "321.0 MB",
        "651.0 kB",
        "28.4 kB",
        "647.8 kB",
        "took 34.6 s a target and seed",
    ):
        assert text in page.text, text
        assert text in markdown, text
    for text in (page.text, markdown):
        assert not re.search(r"\b(nan|None|inf)\b", text)
        assert "Demo data" not in text


def test_methods_are_listed_best_first_with_numbers_on_the_right(write, summary, rows, example):
    page, markdown = write(summary, rows, example)
    cells = [text for _, text in page.cells]
    assert cells.index("all_labels (oracle)") < cells.index("hat") < cells.index("labels_only") < cells.index("kd")
    assert ["number", "81.2 [78.1, 85.5]"] in page.cells
    assert ["number", "average rank"] in page.cells
    assert "| method | runs | accuracy |" in markdown
    assert "| --- | ---: | ---: |" in markdown


def test_bytes_by_stage_are_of_the_methods_that_move_any(write, summary, rows, example):
    markdown = write(summary, rows, example)[1]
    table = markdown.split("Bytes by stage")[1].split("## ")[0]
    assert "| hat | 3.2 kB | 647.8 kB | 0 B | 651.0 kB |" in table
    assert "labels_only" not in table
    for one in summary["methods"].values():
        one["bytes"] = 0.0
    assert "Bytes by stage" not in write(summary, rows, example)[1]


def test_failed_runs_have_their_reasons(write, summary, rows, example):
    for text in write(summary, rows, example):
        shown = text.text if isinstance(text, Page) else text.replace("&lt;", "<")
        assert "Failed runs" in shown
        assert "InputError: no luck < today" in shown
    assert "Failed runs" not in write(summary, rows[:-1], example)[0].text


def test_a_missing_example_is_a_sentence(write, summary, rows):
    page, markdown = write(summary, rows, None)
    assert len(page.images) == markdown.count("](figures/") == 4
    for text in (page.text, markdown):
        assert "no finished run of hat was there to look into" in text


def test_a_method_whose_runs_all_failed_is_listed(write, summary, rows, example):
    nothing = dict.fromkeys(("mean", "low", "high"))
    costs = dict.fromkeys(("training_seconds", "peak_memory_bytes", "bytes", "student_bytes", "average_rank"))
    lost = method(0.5, None, n=0, failed=6, against_reference=None) | dict.fromkeys(SCORES, nothing) | costs
    _, markdown = write({**summary, "methods": {**summary["methods"], "lost": lost}}, rows, example)
    assert re.search(r"^\| lost \| 0 of 6 \| - \| - ", markdown, re.MULTILINE)


def test_variants_have_a_column_of_their_own(write, summary, rows, example):
    assert "rank among variants" not in write(summary, rows, example)[1]
    summary["methods"]["hat_no_gate"] = method(0.7, None, rank_among_variants=1.625)
    markdown = write(summary, rows, example)[1]
    assert "rank among variants" in markdown
    assert "1.62" in markdown


def test_one_target(write, summary, rows, example):
    alone = {**summary, "targets": ["ann"], "seeds": 1, "critical_difference": None}
    page, _ = write(alone, [row for row in rows if row["target"] == "ann"], example)
    assert "4 methods, 1 target, 1 seed " in page.text
    assert "No critical-difference diagram" in page.text
    assert "With one target there is nothing to resample" in page.text
    assert len(page.images) == 8


def test_numbers_that_are_not_there_are_gaps(write, summary, rows):
    lacking = {"nll": {"mean": float("nan"), "low": None, "high": None}, "against_reference": None}
    unmeasured = {"peak_memory_bytes": None, "training_seconds": float("nan")}
    methods = {**summary["methods"], "kd": {**summary["methods"]["kd"], **lacking, **unmeasured}}
    for text in write({**summary, "methods": methods}, rows, None):
        shown = text.text if isinstance(text, Page) else text
        assert not re.search(r"\b(nan|None|inf)\b", shown)


def test_demo_data_are_called_so(write, summary, rows):
    for text in write({**summary, "is_demo": True}, rows, None):
        assert "Demo data: simulated, not recorded." in (text.text if isinstance(text, Page) else text)


def test_odd_names_are_shown_and_not_obeyed(write, summary, rows, example):
    usual = write(summary, rows, example)[0].tags
    named = {ODD if name == "kd" else name: one for name, one in summary["methods"].items()}
    changed = dict.fromkeys(("data", "modality", "labels", "command", "finding"), ODD)
    odd_rows = [{**row, "method": ODD if row["method"] == "kd" else row["method"]} for row in rows]
    odd_rows = [{**row, "target": ODD if row["target"] == "ann" else row["target"]} for row in odd_rows]
    odd_rows[-1]["failed"] = ODD
    odd_summary = {**summary, **changed, "methods": named, "targets": [ODD, "bob", "cid"], "versions": {ODD: ODD}}
    odd_names = {"sources": [ODD, "b"], "weighed": [ODD, "b"], "classes": [ODD, "b", "c"]}
    strange = {**example.result, "target": ODD, "data": ODD, **odd_names}
    page, markdown = write(odd_summary, odd_rows, RunExample(strange, *list(vars(example).values())[1:]))
    assert page.tags == usual
    assert page.text.count(ODD) >= 10
    outside_code = [line for line in markdown.splitlines() if not line.startswith("    ")]
    assert not any("<script>" in line for line in outside_code)
    assert all(line.count(" | ") == 1 for line in outside_code if line.startswith("| modality"))


def test_a_browser_shows_every_picture(write, summary, rows, example, tmp_path):
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        pytest.skip("no Chromium or Chrome is installed")
    write(summary, rows, example)
    # The page itself runs nothing, so a copy of it is what counts the pixels that the browser decoded.
    counting = "<script>onload = () => document.title = [...document.images].map(i => i.naturalWidth).join()</script>"
    copy = tmp_path / "counted.html"
    copy.write_text((tmp_path / "report.html").read_text() + counting)
    options = ("--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}")
    done = subprocess.run([browser, *options, "--dump-dom", copy.as_uri()], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    title = re.search(r"<title>([\d,]+)</title>", done.stdout)
    assert title, done.stdout[:500]
    widths = [int(width) for width in title[1].split(",")]
    assert len(widths) == 9
    assert min(widths) > 500
