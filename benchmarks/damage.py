"""Ways to damage a file: changes that a stranger might make to the files of a zoo, each drawn from a generator."""

from __future__ import annotations

import io
import json
import random
import zipfile
from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any

import numpy as np

#: Stands for what ``json`` cannot write: lists in lists, thousands deep.
DEEP = "@@deep@@"

#: What no card should hold, and what a careless reader stumbles over.
NASTY: tuple[Any, ...] = (
    *(None, True, -1, 0, 1, 0.5, 1e308, -1e39, 2**31, 2**63, 10**12, 10**400, float("nan"), float("inf")),
    *(
        "",
        " ",
        "bob",
        "BOB",
        "x" * 10**5,
        "../../etc/passwd",
        "/etc/passwd",
        "sources/bob",
        "C:\\nul",
        "a\0b",
        "\ud800",
    ),
    *("a\u202eb", "\x1b[31mred", "two\nlines", "b\u00f6b", "bo\u0301b", "__import__('os').system('true')", DEEP),
    *([], {}, [[]], [None], [0.0] * 70_000, ["same", "same"], [10**7], [10**7] * 4, [2**24], [0], [-5]),
    *({"x": 1}, {"__class__": "x"}, ["y"] * 5000, [f"class {number}" for number in range(4096)]),
)


def damage_bytes(data: bytes, rng: random.Random) -> bytes:
    """Flips, cuts, repeats, inserts or overwrites bytes at a random place."""
    place, other = rng.randrange(len(data) + 1), rng.randrange(len(data) + 1)
    low, high = sorted((place, other))
    return rng.choice(
        (
            lambda: data[:place] + bytes([rng.randrange(256)]) + data[place + 1 :],
            lambda: data[:place],
            lambda: data[:low] + data[high:],
            lambda: data[:high] + data[low : low + 4096] + data[high:],
            lambda: data[:place] + rng.choice((b"\xff\xfe", b"\xef\xbb\xbf", b"[" * 20_000, b"9" * 5000, b"\0" * 9)),
            lambda: data[:place] + rng.choice((b"-", b"e999", b'"', b"{", b"}", b",", b"\\u0000")) + data[place:],
            lambda: b"" if rng.random() < 0.1 else data[::-1],
        )
    )()


def damage_json(data: bytes, rng: random.Random, likely: dict[str, tuple[Any, ...]]) -> bytes:
    """Changes a JSON document in one to three places; ``likely`` are values that a field by that name is told."""
    tree = json.loads(data)
    for _ in range(rng.choice((1, 1, 2, 3))):
        places = list(_places(tree))
        told = [place for place in places if place[1] in likely]
        holder, key = rng.choice(told if told and rng.random() < 0.5 else places)
        what = rng.random()
        if what < 0.1:
            del holder[key]
        elif what < 0.2 and isinstance(holder, dict):
            holder[rng.choice((f"{key}s", str(key).upper(), "x" * 3000, "two\nlines"))] = deepcopy(holder[key])
        elif what < 0.3 and isinstance(holder[key], list):
            holder[key] = deepcopy(holder[key]) * rng.choice((2, 100))
        else:
            values = likely[key] if key in likely and rng.random() < 0.8 else NASTY
            holder[key] = deepcopy(rng.choice(values))
        if not tree:
            break
    text = json.dumps(tree).replace(f'"{DEEP}"', "[" * 20_000 + "]" * 20_000).encode()
    return damage_bytes(text, rng) if rng.random() < 0.2 else text


def _places(tree: Any) -> Iterator[tuple[Any, Any]]:
    keys = list(tree) if isinstance(tree, dict) else range(min(len(tree), 4)) if isinstance(tree, list) else ()
    for key in keys:
        yield tree, key
        yield from _places(tree[key])


def damage_safetensors(data: bytes, rng: random.Random) -> bytes:
    """Changes the header of a safetensors file, or any of its bytes, or the length that it says its header has."""
    length = int.from_bytes(data[:8], "little")
    what = rng.random()
    if what < 0.2:
        return damage_bytes(data, rng)
    if what < 0.3:
        return rng.choice((0, 1, length - 1, length + 8, 10**8, 2**63, 2**64 - 1)).to_bytes(8, "little") + data[8:]
    if what < 0.4:  # numbers that are not finite, or huge
        numbers = np.frombuffer(data[8 + length :], dtype=np.float32).copy()
        numbers[rng.randrange(len(numbers))] = rng.choice((np.nan, np.inf, -np.inf, 3e38))
        return data[: 8 + length] + numbers.tobytes()
    likely = {
        "dtype": ("F64", "F16", "BF16", "I64", "BOOL", "F8_E4M3", "F4", "C64", "f32", "O"),
        "shape": ([], [10**12], [2**62, 4], [0, 2**63], [1] * 70, [-1], [0]),
        "data_offsets": ([0, 0], [0, 10**15], [2**64 - 1, 4], [8, 4], [0], [-4, 4]),
    }
    header = damage_json(data[8 : 8 + length], rng, likely)
    return len(header).to_bytes(8, "little") + header + data[8 + length :]


def damage_npz(parts: dict[str, np.ndarray], rng: random.Random) -> bytes:
    """Writes an npz whose arrays are others than they must be, whose headers lie, or whose bytes are damaged."""
    changed = dict(parts)
    for _ in range(rng.randint(0, 2)):
        name = rng.choice(list(changed))
        changed[name] = rng.choice(_ARRAYS)(changed[name])
    pack = rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2))
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", pack) as archive:
        for name, array in changed.items():
            member = io.BytesIO()
            np.lib.format.write_array(member, array, allow_pickle=True)
            content = member.getvalue()
            if rng.random() < 0.1:
                shape = rng.choice(
                    ("(10**12,)", f"({10**12},)", f"({2**62}, 4)", "(-1,)", f"({'9' * 5000},)", "((),)", "-" * 3000)
                )
                header = f"{{'descr': {rng.choice(_TYPES)!r}, 'fortran_order': False, 'shape': {shape}, }}\n".encode()
                content = b"\x93NUMPY\x02\x00" + len(header).to_bytes(4, "little") + header + content[128:]
            archive.writestr(f"{name}.npy", content)
            if rng.random() < 0.02:
                archive.writestr(rng.choice((f"{name}.npy", "../../x.npy", "x.npy" * 50, "\u202e.npy")), content)
    data = stream.getvalue()
    return damage_bytes(data, rng) if rng.random() < 0.6 else data


_TYPES = ("<f4", "|O", "<U1000000000", "V2147483647", "<f16", "x", [("a", "<f4")] * 2, "<M8[ns]", ">c16")
_ARRAYS: tuple[Callable[[np.ndarray], np.ndarray], ...] = (
    lambda array: np.atleast_1d(array)[:0],
    lambda array: array[..., None],
    lambda array: array.ravel(),
    lambda array: array.astype(str),
    lambda array: array.astype(object),
    lambda array: np.array(7),
    lambda array: np.array(["two\nlines", "\x1b[31m", "x" * 5000]),
    lambda array: np.full(array.shape, np.nan),
    lambda array: np.full(array.shape, -(2**62)),
    lambda array: np.full(array.shape, 1e300),
    lambda array: np.zeros(array.shape, dtype="<M8[ns]"),
    lambda array: np.zeros(array.shape, dtype=[("a", "<f4")]),
    lambda array: np.zeros(array.shape, dtype=np.complex64),
)


def damage_yaml(text: str, rng: random.Random) -> bytes:
    """Changes an option file: other values, unknown names, aliases of aliases, tags that ask for objects."""
    what = rng.random()
    if what < 0.3:
        return damage_bytes(text.encode(), rng)
    name = rng.choice(("seed", "target", "trainer", "num_sources", "modality", "adapt", "unheard_of"))
    aliases = "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9) if n else 'x'}]\n" for n in range(6))
    value = rng.choice(
        (
            *(
                "!!python/object/apply:os.system ['true']",
                "!!python/name:os.system",
                "!unknown x",
                "&a [*a]",
                "*nowhere",
            ),
            *("2024-99-99", "9" * 5000, ".nan", "{", "[" * 300, "? x", "\t", "'", "|", "\0", "\x1b[31m", "!!binary x"),
            *("{a: {b: {c: 1}}}", "[1, 2]", "null", "1e400", "0x", "- - -", "yes", "~", '"\\ud800"', "<<: 3"),
        )
    )
    return (aliases if rng.random() < 0.1 else "").encode() + f"{text}\n{name}: {value}\n".encode("utf-8", "replace")
