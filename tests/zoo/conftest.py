"""Small sources for the tests of the zoo."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hatlit.encoders.base import Classifier, InputSpec, build_classifier
from hatlit.zoo.card import Statistic, StatisticsSpec, Training, ZooInfo
from hatlit.zoo.store import Zoo

SPEC = InputSpec(modality="imu", channels=("x", "y", "z"), shape=(16,), rate=20.0)


def _model(seed: int = 0) -> Classifier:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build_classifier("cnn_nano", SPEC, 2)


def _source(seed: int = 0) -> dict[str, Any]:
    model = _model(seed)
    rng = np.random.default_rng(seed)
    centroid = tuple(rng.normal(size=model.feature_dim).tolist())
    return {
        "model": model,
        "domain": "kitchen",
        "dataset": "demo",
        "encoder": "cnn_nano",
        "class_names": ("sit", "walk"),
        "statistics": {"moments": Statistic.of(rng.normal(size=4), rng.random(4))},
        "centroids": (centroid, None),
        "accuracy": 0.75,
        "num_samples": 40,
        "training": Training(max_epochs=3, seed=seed, labels=40),
    }


@pytest.fixture
def info() -> ZooInfo:
    return ZooInfo(modality="imu", statistics=StatisticsSpec(names=("moments",), view=SPEC, seed=0))


@pytest.fixture
def make_source() -> Callable[..., dict[str, Any]]:
    """Everything that ``Zoo.add`` takes but the id, drawn from a seed."""
    return _source


@pytest.fixture
def zoo(tmp_path: Path, info: ZooInfo) -> Zoo:
    return Zoo.create(tmp_path / "zoo", info)


@pytest.fixture
def view() -> torch.Tensor:
    return torch.randn(5, 3, 16, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """The address of an object store in this process."""
    pytest.importorskip("s3fs", reason="s3fs is not installed; pip install 'hatlit[s3]' brings it")
    server = pytest.importorskip("moto.server", reason="moto is not installed; pip install moto[server] brings it")
    running = server.ThreadedMotoServer(port=0, verbose=False)
    running.start()
    yield "http://{}:{}".format(*running.get_host_and_port())
    running.stop()


@pytest.fixture
def s3(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of a folder in a fresh bucket."""
    import s3fs

    fakes = {"AWS_ENDPOINT_URL": s3_server, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    for name, value in (fakes | {"AWS_DEFAULT_REGION": "us-east-1"}).items():
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()
    bucket = f"zoos-{uuid.uuid4().hex[:8]}"
    s3fs.S3FileSystem().mkdir(bucket)
    return f"s3://{bucket}/fleet/zoo"


class _Quiet(SimpleHTTPRequestHandler):
    def __init__(self, *args: Any, missing: int, **options: Any) -> None:
        self._missing = missing
        super().__init__(*args, **options)

    def log_message(self, *args: object) -> None:
        """Says nothing."""

    def send_error(self, code: int, *args: object) -> None:
        """Answers for a missing file what the test wants."""
        super().send_error(self._missing if code == 404 else code)


@pytest.fixture
def serve() -> Iterator[Callable[..., str]]:
    """Returns a function that shows a folder on a plain web server, and gives its address.

    The function also takes the status with which the server answers for files that are not there.
    """
    pytest.importorskip("aiohttp", reason="aiohttp is not installed; pip install 'hatlit[http]' brings it")
    servers = []

    def show(folder: Path, missing: int = 404) -> str:
        server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, missing=missing, directory=str(folder)))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}"

    yield show
    for server in servers:
        server.shutdown()
        server.server_close()
