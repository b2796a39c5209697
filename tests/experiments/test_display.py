import io
import json

import pytest
from rich.console import Console

from hatlit.experiments.display import WIDTH_OF_FILES, Display, counted, human_bytes


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (1234567, "1.2 MB"),
        (5e9, "5.0 GB"),
        (7.25e12, "7.2 TB"),
        (3e16, "30000.0 TB"),
    ],
)
def test_bytes_as_people_read_them(number, expected):
    assert human_bytes(number) == expected


@pytest.mark.parametrize(("number", "expected"), [(0, "0 sources"), (1, "1 source"), (2, "2 sources")])
def test_one_thing_is_not_said_as_several(number, expected):
    assert counted(number, "source") == expected


@pytest.fixture
def elsewhere(capsys):
    """What a display writes where there is no terminal."""
    return lambda: capsys.readouterr().out


def test_plain_lines_where_there_is_no_terminal(elsewhere):
    display = Display()
    display.say("one line")
    assert list(display.track(["a", "b"], "training sources")) == ["a", "b"]
    lines = elsewhere().splitlines()
    assert lines[0] == "one line"
    assert lines[1] == "training sources: 2 ..."
    assert lines[2].startswith("training sources: 2 done in ")
    assert len(lines) == 3
    assert "\x1b" not in "".join(lines)


def test_long_lines_are_not_broken(elsewhere):
    long = "word " * 99 + "word"
    Display().say(long)
    assert elsewhere() == long + "\n"


def test_names_are_shown_and_not_obeyed(elsewhere):
    display = Display()
    display.say("target [red]x[/] at :car: C:/[bold]")
    display.table("runs of [b]", [{"[i]": "[/y] :car:", "number": "[red]1"}])
    shown = elsewhere()
    for text in ("target [red]x[/] at :car: C:/[bold]", "runs of [b]", "[i]", "[/y] :car:", "[red]1"):
        assert text in shown


def test_silence(elsewhere):
    display = Display(silent=True)
    display.say("one line")
    display.table("title", [{"a": "b"}])
    display.json({"a": 1})
    assert list(display.track(range(3), "counting")) == [0, 1, 2]
    assert elsewhere() == ""


def test_a_bar_on_a_terminal():
    stream = io.StringIO()
    display = Display(Console(file=stream, force_terminal=True, width=80))
    assert list(display.track(["a", "b"], "training")) == ["a", "b"]
    assert "2/2" in stream.getvalue()
    assert "\x1b" in stream.getvalue()


def test_a_transfer_tells_each_quarter(display):
    with display.transfer("downloading it") as tell:
        for done in range(0, 1001, 50):
            tell(done * 1000, 1_000_000)
    lines = display.shown().splitlines()
    assert lines == [
        f"downloading it: {done} of 1.0 MB" for done in ("0 B", "250.0 kB", "500.0 kB", "750.0 kB", "1.0 MB")
    ]


def test_a_transfer_that_never_begins_says_nothing(display):
    with display.transfer("downloading it"):
        pass
    assert display.shown() == ""


def test_a_transfer_on_a_terminal():
    stream = io.StringIO()
    with Display(Console(file=stream, force_terminal=True, width=100)).transfer("downloading it") as tell:
        tell(500_000, 1_000_000)
    assert "0.5/1.0 MB" in stream.getvalue()


def test_progress_survives_a_failure_and_lets_it_through(display):
    with pytest.raises(ValueError, match="in the middle"), display.progress("counting", 3) as advance:
        advance()
        raise ValueError("in the middle")


def test_a_table(display):
    display.table("results", [{"method": "hat", "accuracy": "0.9"}, {"method": "labels_only", "accuracy": "0.25"}])
    lines = [line for line in display.shown().splitlines() if "│" in line or "┃" in line]
    cells = [[cell.strip() for cell in line.replace("┃", "│").split("│")[1:-1]] for line in lines]
    assert cells == [["method", "accuracy"], ["hat", "0.9"], ["labels_only", "0.25"]]
    assert display.shown().startswith("results")


def test_a_table_without_rows(display):
    display.table("nothing yet", [])
    assert display.shown().strip() == "nothing yet"


def test_tables_outside_a_terminal_have_room(elsewhere):
    Display().table("wide", [{f"column {number}": "x" * 15 for number in range(7)}])
    widths = {len(line) for line in elsewhere().splitlines() if "│" in line}
    assert max(widths) <= WIDTH_OF_FILES
    assert min(widths) > 100


def test_json(elsewhere):
    content = {"name": "ä [b]", "several": [1, 2.5, None]}
    Display().json(content)
    assert json.loads(elsewhere()) == content
