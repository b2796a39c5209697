"""How many sources: values, and what it says of numbers worked out by hand."""

import pytest

from hatlit.errors import InputError
from hatlit.experiments.studies import sources as module
from hatlit.experiments.studies.sources import Sources


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "many"])
def test_values_that_cannot_be(text):
    with pytest.raises(InputError, match=f"numbers of sources such as 5, not '{text}'"):
        Sources().read(text)


def test_finding(runs):
    rows = runs({("hat", "1"): [0.4, 0.5], ("hat", "3"): [0.8, 0.7], ("hat", "5"): [0.7, 0.9]})
    assert Sources().finding(rows) == (
        "hat is most accurate with 5 of the sources, 80.0 [70.0, 90.0] %. "
        "That is +35.0 points [+30.0, +40.0] ahead of 1, which reaches 45.0 [40.0, 50.0] %. "
        "The smallest number that is not clearly worse is 3."
    )
    assert [row["sources"] for row in Sources().table(rows)] == ["1", "3", "5"]


def test_no_more_sources_than_there_are(monkeypatch, task):
    asked = []
    monkeypatch.setattr(module, "_most", lambda task: 4)
    monkeypatch.setattr(module, "run_variants", lambda task, methods, variants: asked.extend(variants))
    study = Sources()
    study.measure(task(), [study.read(value) for value in study.values])
    assert [variant.changes for variant in asked] == [{"num_sources": number} for number in (1, 2, 3)]
    with pytest.raises(InputError, match="--values 5 asks for more sources than the 4"):
        study.measure(task(values="1,5", zoo="somewhere"), [study.read("1"), study.read("5")])


def test_more_sources_than_domains_are_refused_before_any_is_trained(monkeypatch, task):
    monkeypatch.setattr(module, "_most", lambda task: pytest.fail("sources are trained"))
    with pytest.raises(InputError, match="--values 5 asks for more sources than the 2"):
        Sources().measure(task(values="1,5"), [Sources().read("1"), Sources().read("5")])
