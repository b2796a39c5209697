"""What the cache holds is listed, and goes when asked; nothing else ever does."""

import os
import time

import pytest

from hatlit.cli import main
from hatlit.files import cache_folder

DAY = 86_400


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """Five entries, last used 5, 4, 3, 2 and 1 days ago, of 1000 bytes each; and a stranger of 10 days."""
    monkeypatch.setenv("HATLIT_CACHE", str(tmp_path / "cache"))
    names = [
        "zoos/old/card.json",
        "outputs/a.safetensors",
        "adapted/b.safetensors",
        "outputs/c.safetensors",
        "data/d/x",
    ]
    for name, days in zip([*names, "stranger.txt"], [5, 4, 3, 2, 1, 10], strict=True):
        path = cache_folder() / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(1000))
        os.utime(path, (time.time() - days * DAY,) * 2)
    return cache_folder()


def left(cache):
    return sorted(path.name for path in cache.rglob("*") if path.is_file())


def test_each_kind_is_listed_with_number_size_and_last_use(cache, capsys):
    assert main(["cache"]) == 0
    output = capsys.readouterr().out
    assert output.startswith(f"{cache}: 6.0 kB")
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in output.splitlines() if line.startswith("│")]
    sizes = {kind: (number, size) for kind, _, number, size, _ in rows}
    assert sizes["outputs"] == ("2", "2.0 kB")
    assert sizes.keys() == {"zoos", "outputs", "adapted", "data", "other"}
    days = {kind: time.strftime("%Y-%m-%d", time.localtime(time.time() - n * DAY)) for kind, n in (("outputs", 2),)}
    assert rows[1][-1].startswith(days["outputs"])


def test_an_empty_cache_is_listed_as_empty(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("HATLIT_CACHE", str(tmp_path / "nowhere"))
    assert main(["cache"]) == 0
    assert main(["cache", "prune", "--keep_bytes", "0"]) == 0
    assert "removed 0 of 0 entries" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "stay"),
    [
        ("--older_than 3.5", ["b.safetensors", "c.safetensors", "d", "stranger.txt"]),
        ("--keep_bytes 1500", ["c.safetensors", "d", "stranger.txt"]),
        ("--keep_bytes 0", ["d", "stranger.txt"]),
        ("--older_than 4.5 --keep_bytes 2000", ["b.safetensors", "c.safetensors", "d", "stranger.txt"]),
        ("--older_than 0 --kinds outputs", ["b.safetensors", "card.json", "d", "stranger.txt"]),
        ("--older_than 100", ["a.safetensors", "b.safetensors", "c.safetensors", "card.json", "d", "stranger.txt"]),
    ],
)
def test_what_was_not_used_for_long_goes_and_what_is_not_ours_stays(cache, capsys, options, stay):
    stay = sorted("x" if name == "d" else name for name in stay)
    assert main(["cache", "prune", *options.split()]) == 0
    assert left(cache) == stay
    assert f"removed {6 - len(stay)} of" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ("", "Say what may go: --older_than DAYS, --keep_bytes BYTES, or both."),
        ("--kinds data --keep_bytes 0", "--kinds knows zoos, outputs, adapted, not data."),
        ("--older_than -1", "--older_than must be at least 0, not -1"),
    ],
)
def test_a_careless_order_removes_nothing(cache, capsys, options, says):
    assert main(["cache", "prune", *options.split()]) == 2
    assert says in capsys.readouterr().err
    assert len(left(cache)) == 6


def test_what_cannot_be_removed_is_named(cache, capsys, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("shutil.rmtree", refuse)
    assert main(["cache", "prune", "--keep_bytes", "0"]) == 2
    assert f"'{cache / 'zoos' / 'old'}' cannot be removed (Permission denied)." in capsys.readouterr().err
