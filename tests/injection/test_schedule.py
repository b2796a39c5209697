import pytest

from hatlit.injection.schedule import SCHEDULES


def test_accuracy_is_alpha():
    assert SCHEDULES.get("accuracy")(0.7, 5) == 0.7


@pytest.mark.parametrize(
    ("accuracy", "classes", "alpha"), [(1.0, 4, 1.0), (0.25, 4, 0.0), (0.1, 4, 0.0), (0.625, 4, 0.5)]
)
def test_above_chance(accuracy, classes, alpha):
    assert SCHEDULES.get("above_chance")(accuracy, classes) == pytest.approx(alpha)


def test_full_is_one():
    assert SCHEDULES.get("full")(0.1, 4) == 1.0


@pytest.mark.parametrize("name", SCHEDULES.names())
@pytest.mark.parametrize("accuracy", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("classes", [1, 2, 1000])
def test_alpha_is_a_share(name, accuracy, classes):
    assert 0 <= SCHEDULES.get(name)(accuracy, classes) <= 1
