"""What every method that is taught gets: sources and experts made as the options say."""

import pytest
import torch

from hatlit.config import CacheConfig
from hatlit.methods import teachers
from hatlit.methods.teachers import adapted_sources, frozen_bank, own_experts
from hatlit.students import budget


def weights(model):
    return torch.cat([parameter.flatten() for parameter in model.parameters()])


def test_outputs_are_kept_as_the_options_of_the_task_say(task):
    rows = torch.arange(10)
    exact, rounded = (frozen_bank(task("kd", cache=CacheConfig(dtype=dtype)))(rows) for dtype in ("float32", "float16"))
    for one, other in zip(exact.features, rounded.features, strict=True):
        assert 0 < (one - other).abs().max() < 1e-2
        assert torch.equal(one.half().float(), other)


def test_experts_see_changed_views_only_where_the_options_allow_it(task):
    plain, changed = (task(trainer__augment=augment) for augment in (False, True))
    (first, *_), (second, *_) = (own_experts(one, one.config.hat.experts) for one in (plain, changed))
    assert not torch.equal(weights(first), weights(second))
    (again, *_) = own_experts(plain, plain.config.hat.experts)
    assert torch.equal(weights(first), weights(again))


def test_without_labels_there_are_no_experts(task) -> None:
    made = task(per_class=0)
    assert own_experts(made, made.config.hat.experts) == []


@pytest.mark.parametrize(("worth", "threads"), [(0, 2), (float("inf"), 1)])
def test_sources_and_experts_learn_with_as_many_threads_as_their_steps_are_worth(
    task, two_threads, monkeypatch, tmp_path, worth, threads
):
    seen = []

    def noting(model, *arguments):
        seen.append(torch.get_num_threads())
        return model

    monkeypatch.setenv("HATLIT_CACHE", str(tmp_path))
    monkeypatch.setattr(budget, "WORTH_THREADS", worth)
    monkeypatch.setattr(teachers, "adapt", noting)
    monkeypatch.setattr(teachers, "train_expert", noting)
    made = task()
    adapted_sources(made)
    own_experts(made, made.config.hat.experts)
    assert seen == [threads] * (len(made.sources) + made.config.hat.experts.count)
