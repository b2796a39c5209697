"""``--fast``: other defaults, which any option beats, and which leave alone what is shipped."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from hatlit.errors import InputError

CONFIGS = {
    "transfer": "TransferConfig",
    "throughput": "ThroughputConfig",
    "batched": "BatchedConfig",
    "growth": "GrowthConfig",
}


@pytest.fixture(params=CONFIGS)
def options(request, program):
    """A benchmark, and a function that reads its options from words."""
    module = program(request.param)
    kind = getattr(module, CONFIGS[request.param])
    return module, lambda *words: program("quick").parse_fast(kind, request.param, "", words, module.FAST)


def test_fast_changes_defaults(options):
    module, read = options
    usual, fast = read(), read("--fast")
    assert not usual.fast
    assert fast.fast
    assert module.FAST
    assert all(getattr(fast, name) != getattr(usual, name) for name in module.FAST)


def test_fast_writes_nowhere_but_to_a_folder_of_its_own(options):
    _, read = options
    outputs = [getattr(read("--fast"), name) for name in ("out", "kept", "page") if hasattr(read(), name)]
    assert all(not one or one.startswith("runs/") for one in outputs), outputs
    assert set(outputs) & {getattr(read(), name, "-") for name in ("out", "kept", "page")} <= {""}


def test_what_is_said_beats_fast(program, tmp_path):
    module = program("transfer")

    def read(*words):
        return program("quick").parse_fast(module.TransferConfig, "transfer", "", words, module.FAST)

    file = tmp_path / "options.yaml"
    file.write_text(yaml.safe_dump({"seeds": 2, "targets": 4}))
    config = read("--fast", "--sets", "imu-hmp", "--targets", "1", "--config", str(file), "--page", "here.md")
    assert (config.sets, config.labels, config.targets, config.seeds) == (["imu-hmp"], ["few"], 1, 2)
    assert config.page == "here.md"
    assert Path(config.out).parts[0] == "runs"


def test_fast_excuses_no_option_that_cannot_be(program):
    module = program("throughput")
    for words in (["--fast", "--sizes", "2k"], ["--fast", "--rows", "3"], ["--fast", "--repeat", "3"]):
        with pytest.raises(InputError):
            program("quick").parse_fast(module.ThroughputConfig, "throughput", "", words, module.FAST)
