import pytest
import torch
from torch import nn

from hatlit.encoders.base import InputSpec, build_classifier
from hatlit.students.budget import WORTH_THREADS, Cost, cost, threads_for

SPEC = InputSpec(modality="imu", channels=("x", "y"), shape=(10,))


def test_cost_by_hand():
    model = nn.Sequential(nn.Conv1d(2, 3, 5), nn.Flatten(), nn.Linear(18, 4))
    found = cost(model, SPEC)
    assert found.parameters == 2 * 3 * 5 + 3 + 18 * 4 + 4
    assert found.macs == 6 * 3 * 2 * 5 + 18 * 4
    assert found.size_bytes == 4 * found.parameters


def test_buffers_and_number_formats_count():
    model = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(20))
    assert cost(model, SPEC).size_bytes == 4 * (4 * 20) + 8
    assert cost(nn.Sequential(nn.Flatten(), nn.Linear(20, 1)).bfloat16().float(), SPEC).parameters == 21


def test_the_model_is_left_as_it_was():
    model = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(20)).train()
    cost(model, SPEC)
    assert model.training
    assert torch.equal(model[1].running_mean, torch.zeros(20))


def test_parts_that_do_not_learn_stay_as_they_were():
    model = nn.Sequential(nn.Flatten(), nn.Dropout(), nn.Linear(20, 1)).train()
    model[1].eval()
    cost(model, SPEC)
    assert [module.training for module in model.modules()] == [True, True, False, True]


def test_cheaper_means_fewer_parameters_then_fewer_multiplications():
    assert Cost(1, 9, 9) < Cost(2, 1, 1) < Cost(2, 2, 0)


@pytest.mark.parametrize(("more", "threads"), [(-1, 1), (0, 2)])
def test_steps_that_are_worth_it_have_all_threads_and_small_ones_one(two_threads, more, threads):
    model = build_classifier("cnn_tiny", SPEC, 3)
    rows = -(-WORTH_THREADS // cost(model, SPEC).macs) + more
    with threads_for(model, rows):
        assert torch.get_num_threads() == threads
    assert torch.get_num_threads() == 2
