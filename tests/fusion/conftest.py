import pytest


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    """No test reads what another one cached."""
    monkeypatch.setenv("HATLIT_CACHE", str(tmp_path / "cache"))
