from dataclasses import replace

import torch

from hatlit.methods.base import SelectedSource
from hatlit.methods.best_source import BestSource, BestSourceZeroShot, with_target_head


def test_starts_as_the_best_source_with_its_own_view(task):
    made = task("best_source")
    method = BestSource.build(made)
    best = made.sources[0].model
    view = torch.randn(5, 3, 32)
    assert method.student.input_spec == best.input_spec
    assert torch.allclose(method.student.eval()(view), best(view), atol=1e-6)


def test_training_it_leaves_the_source_alone_and_moves_the_copy(task):
    made = task("best_source")
    method = BestSource.build(made)
    before = {name: value.clone() for name, value in made.sources[0].model.state_dict().items()}
    method.losses(next(iter(_batches(made, method))))["student"].backward()
    assert all(parameter.grad is not None for parameter in method.student.parameters())
    assert all(torch.equal(value, made.sources[0].model.state_dict()[name]) for name, value in before.items())
    assert all(parameter.grad is None for parameter in made.sources[0].model.parameters())


def test_head_follows_the_targets_class_names(task):
    source = task("best_source").sources[0]
    shuffled = SelectedSource(source.id, source.encoder, source.model, source.class_names)
    model = with_target_head(shuffled, ("still", "new", "slow"), seed=0)
    view = torch.randn(4, 3, 32)
    logits, original = model.eval()(view), source.model(view)
    assert torch.allclose(logits[:, [0, 2]], original[:, [2, 0]], atol=1e-6)
    again = with_target_head(shuffled, ("still", "new", "slow"), seed=0)
    assert torch.equal(again.head.weight, model.head.weight)


def test_as_it_is_it_never_says_a_class_that_it_does_not_know(task):
    made = task("best_source_zero_shot")
    best = made.sources[0]
    unknown = [name if place else "something else" for place, name in enumerate(best.class_names)]
    made = replace(made, sources=(replace(best, class_names=tuple(unknown)), *made.sources[1:]))
    said = BestSourceZeroShot.build(made).student.eval()(torch.randn(50, 3, 32)).softmax(-1)
    number = made.target.class_names.index(best.class_names[0])
    assert said[:, number].max() < 1e-30
    assert torch.allclose(said.sum(-1), torch.ones(50))


def _batches(task, method):
    from hatlit.datamodules.target.batches import TargetDataModule

    return TargetDataModule(task.target.rows(method.student.input_spec), 16, 0).train_dataloader()


def test_batch_norm_keeps_the_statistics_of_the_source(task):
    method = BestSource.build(task("best_source"))
    method.student.encoder.add_module("norm", torch.nn.BatchNorm1d(3))
    assert not method.train().student.encoder.norm.training
    assert method.student.training
