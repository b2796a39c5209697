from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hatlit.config import LabelsConfig
from hatlit.datamodules.base import Domain
from hatlit.datamodules.split import fit_view, labelled_rows, present_classes, split_domain
from hatlit.encoders.base import InputSpec
from hatlit.errors import InputError
from hatlit.types import UNLABELLED

CLASS_NAMES = ("sit", "walk", "run", "climb")


def make_domain(labels: list[int], groups: list[int]) -> Domain:
    samples = np.random.default_rng(0).normal(size=(len(labels), 2, 5)).astype(np.float32)
    return Domain(
        name="ann",
        samples=samples,
        labels=np.array(labels, dtype=np.int64),
        groups=np.array(groups, dtype=np.int64),
        recorded=InputSpec(modality="imu", channels=("a", "b"), shape=(5,), rate=10.0),
        class_names=CLASS_NAMES,
    )


@st.composite
def domains(draw: st.DrawFn) -> Domain:
    rows = draw(st.lists(st.tuples(st.integers(-1, len(CLASS_NAMES) - 1), st.integers(0, 6)), min_size=1, max_size=60))
    return make_domain([label for label, _ in rows], [group for _, group in rows])


label_counts = st.one_of(
    st.just(LabelsConfig()),
    st.integers(0, 4).map(lambda count: LabelsConfig(per_class=count)),
    st.floats(0.05, 1).map(lambda share: LabelsConfig(fraction=share)),
)


@settings(max_examples=150, deadline=None)
@given(domains(), label_counts, st.integers(0, 5))
def test_what_holds_for_every_split(domain: Domain, labels: LabelsConfig, seed: int) -> None:
    split = split_domain(domain, labels, seed)
    train, test, labelled = (set(rows.tolist()) for rows in (split.train, split.test, split.labelled))
    for rows in (split.train, split.test, split.labelled):
        assert rows.dtype == np.int64
        assert (np.diff(rows) > 0).all()
    assert not train & test
    assert labelled <= train
    assert (domain.labels[split.test] != UNLABELLED).all()
    assert (domain.labels[split.labelled] != UNLABELLED).all()

    # Only a class with a single group may leave that group on both sides.
    groups_of = {number: set(domain.groups[domain.labels == number]) for number in present_classes(domain)}
    cut = set().union(*(groups for groups in groups_of.values() if len(groups) == 1))
    assert not (set(domain.groups[split.train]) & set(domain.groups[split.test])) - cut

    for number, groups in groups_of.items():
        rows = np.flatnonzero(domain.labels == number)
        own_train = [row for row in rows if row in train]
        own_test = [row for row in rows if row in test]
        assert own_train, "every class keeps a training row"
        if len(groups) == 1 and len(rows) > 2:
            assert len(own_train) + len(own_test) == len(rows) - 1
            assert max(own_train) + 1 < min(own_test), "one row is dropped at the cut, and the past trains"
        else:
            assert len(own_train) + len(own_test) == len(rows)
        wanted = 1 if labels.per_class is None else labels.per_class
        if labels.fraction is not None:
            wanted = max(1, round(labels.fraction * len(own_train)))
        assert sum(row in labelled for row in rows) == min(wanted, len(own_train))


@settings(max_examples=50, deadline=None)
@given(domains(), label_counts, label_counts)
def test_sides_depend_on_the_domain_alone(domain: Domain, one: LabelsConfig, other: LabelsConfig) -> None:
    first, second = split_domain(domain, one, seed=1), split_domain(domain, other, seed=2)
    assert np.array_equal(first.train, second.train)
    assert np.array_equal(first.test, second.test)


def test_share_of_test_rows_class_by_class() -> None:
    labels = [0] * 100 + [1] * 40
    groups = [row // 5 for row in range(140)]
    domain = make_domain(labels, groups)
    test = split_domain(domain, LabelsConfig(), seed=0).test
    assert np.bincount(domain.labels[test]).tolist() == [30, 10]


def test_seed_draws_the_labelled_rows() -> None:
    domain = make_domain([0] * 40 + [1] * 40, list(range(80)))
    drawn = {tuple(split_domain(domain, LabelsConfig(per_class=2), seed).labelled) for seed in range(5)}
    assert len(drawn) == 5
    again = split_domain(domain, LabelsConfig(per_class=2), 3).labelled
    assert tuple(again) in drawn


def test_more_labels_contain_the_fewer() -> None:
    domain = make_domain([0] * 40 + [1] * 40, list(range(80)))
    few, more = (set(split_domain(domain, LabelsConfig(per_class=count), 7).labelled) for count in (1, 5))
    assert few < more


def test_single_group_is_cut_in_time_and_loses_one_row() -> None:
    split = split_domain(make_domain([0] * 10, [4] * 10), LabelsConfig(), seed=0)
    assert split.train.tolist() == [0, 1, 2, 3, 4, 5]
    assert split.test.tolist() == [7, 8, 9]


def test_two_rows_of_a_single_group_all_train() -> None:
    split = split_domain(make_domain([0, 0], [4, 4]), LabelsConfig(), seed=0)
    assert split.train.tolist() == [0, 1]
    assert not len(split.test)


def test_unlabelled_rows_train_unless_their_recording_tests() -> None:
    domain = make_domain([0, -1, 0, -1, -1, -1], [0, 0, 1, 1, 1, 2])
    split = split_domain(domain, LabelsConfig(), seed=0)
    assert split.test.tolist() == [0], "the recording that would lose fewer unlabelled rows tests"
    assert split.train.tolist() == [2, 3, 4, 5]


def test_no_labels_at_all() -> None:
    domain = make_domain([-1, -1, -1], [0, 1, 2])
    split = split_domain(domain, LabelsConfig(), seed=0)
    assert len(split.train) == 3
    assert not len(split.test)
    assert not len(split.labelled)
    assert present_classes(domain).tolist() == []


def test_labelled_rows_are_all_training_rows_with_a_class() -> None:
    domain = make_domain([0, 0, 0, 0, -1, 2, 2, 2, 2], list(range(9)))
    split = split_domain(domain, LabelsConfig(), seed=0)
    assert present_classes(domain).tolist() == [0, 2]
    assert labelled_rows(domain, split).tolist() == [row for row in split.train if row != 4]


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1, float("nan")])
def test_refuses_an_impossible_share(share: float) -> None:
    with pytest.raises(InputError, match="between 0 and 1"):
        split_domain(make_domain([0, 0], [0, 1]), LabelsConfig(), seed=0, test_share=share)


def test_normalisation_is_that_of_the_rows() -> None:
    domain = make_domain([0] * 6, list(range(6)))
    rows = np.array([1, 4])
    spec = fit_view(domain, rows)
    np.testing.assert_allclose(spec.mean, domain.samples[rows].mean((0, 2)), rtol=1e-5)
    np.testing.assert_allclose(spec.std, domain.samples[rows].std((0, 2)), rtol=1e-5)
    assert spec.channels == domain.recorded.channels
    assert spec.rate == domain.recorded.rate


@pytest.mark.parametrize("level", [0.0, 9.81, -1e-3])
def test_constant_channel_becomes_zero_not_noise(level: float) -> None:
    domain = make_domain([0] * 6, list(range(6)))
    samples = domain.samples.copy()
    samples[:, 1] = level
    assert fit_view(replace(domain, samples=samples), np.arange(6)).std[1] == 1.0


def test_normalisation_of_half_precision_and_images() -> None:
    domain = make_domain([0] * 6, list(range(6)))
    samples = np.full((6, 2, 40, 40), 255, dtype=np.uint8)
    samples[:, 1] = np.arange(40)
    recorded = InputSpec(modality="image", channels=("a", "b"), shape=(40, 40))
    spec = fit_view(replace(domain, samples=samples, recorded=recorded), np.arange(6))
    assert spec.mean == pytest.approx((255, 19.5))
    half = replace(domain, samples=np.full((6, 2, 5), 6e4, dtype=np.float16))
    assert fit_view(half, np.arange(6)).mean[0] == pytest.approx(6e4, rel=1e-3)


def test_normalisation_needs_rows() -> None:
    with pytest.raises(InputError, match="no training samples"):
        fit_view(make_domain([0], [0]), np.empty(0, dtype=np.int64))


FOUR_ROWS = make_domain([0, 0, 0, 0, 1, 1, 1, 1, -1], [0, 1, 2, 3, 4, 5, 6, 7, 8])


@pytest.fixture
def also(tmp_path: Path) -> Callable[[str], LabelsConfig]:
    """Returns a function that makes the options of a file with given content."""

    def make(content: str) -> LabelsConfig:
        (tmp_path / "next.csv").write_text(content)
        return LabelsConfig(also=str(tmp_path / "next.csv"))

    return make


def test_named_rows_are_labelled_besides(also: Callable[[str], LabelsConfig]) -> None:
    drawn = split_domain(FOUR_ROWS, LabelsConfig(), seed=0)
    more = [row for row in drawn.train[FOUR_ROWS.labels[drawn.train] != UNLABELLED] if row not in drawn.labelled]
    header = "domain,row,note\n"  # may stand between files that were put one behind the other
    named = header.join(f"ann,{row},walk\n" for row in [more[-1], more[0], drawn.labelled[0]])
    split = split_domain(FOUR_ROWS, also(f"{header}{named}bob,999,\n"), seed=0)
    assert split.labelled.tolist() == sorted({more[0], more[-1], *drawn.labelled})
    assert split.train.tolist() == drawn.train.tolist()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("domain,line\nann,1\n", "has no column 'row'"),
        ("domain,row\nbob,1\n", "names no row of domain 'ann'"),
        ("domain,row\nann,8\n", "names row 8 of domain 'ann', which is no training sample with a class"),
        ("domain,row\nann,-1\n", "names row -1"),
        ("domain,row\nann,one\n", "names row one"),
        ("domain,row\nann\n", "names row None"),
    ],
)
def test_files_that_name_what_cannot_be(also: Callable[[str], LabelsConfig], content: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        split_domain(FOUR_ROWS, also(content), seed=0)


def test_test_rows_cannot_be_labelled(also: Callable[[str], LabelsConfig]) -> None:
    held_out = split_domain(FOUR_ROWS, LabelsConfig(), seed=0).test[0]
    with pytest.raises(InputError, match=f"names row {held_out}"):
        split_domain(FOUR_ROWS, also(f"domain,row\nann,{held_out}\n"), seed=0)


def test_a_file_that_is_not_there() -> None:
    with pytest.raises(InputError, match=r"The file 'gone\.csv' of --labels\.also cannot be read"):
        split_domain(FOUR_ROWS, LabelsConfig(also="gone.csv"), seed=0)
