from dataclasses import replace

import pytest
import torch

from hatlit.datamodules.base import build_view
from hatlit.datamodules.target.batches import TargetDataModule
from hatlit.experiments.fitting import fit, make_trainer
from hatlit.fusion.bank import SourceOutputs
from hatlit.methods.base import StudentMethod
from hatlit.methods.ensembles import Ensemble, UniformEnsemble, WeightedEnsemble
from hatlit.types import UNLABELLED, Batch


def run(task):
    method = WeightedEnsemble.build(task)
    data = TargetDataModule(method.rows(task), 16, task.config.seed)
    fit(method, data, make_trainer(task.config.trainer, [], []), task.config.seed, None)
    return method


def test_both_leave_an_ensemble_and_no_student():
    for kind in (UniformEnsemble, WeightedEnsemble):
        assert kind.__bases__ == (Ensemble,)
        assert kind.leaves == "ensemble"
        assert not issubclass(kind, StudentMethod)


def test_uniform_is_the_mean_of_what_the_sources_say(task):
    made = task("uniform_ensemble", adapt__steps=0)
    method = UniformEnsemble.build(made)
    rows = made.target.test_rows(method.view)
    with torch.no_grad():
        views = [build_view(rows.source, made.target.asked.recorded, one.model.input_spec) for one in made.sources]
        answers = [one.model.eval()(view).softmax(-1) for one, view in zip(made.sources, views, strict=True)]
    torch.testing.assert_close(method.predict(rows), torch.stack(answers).mean(0), atol=1e-5, rtol=0)
    fused, weights = method.explain(rows)
    assert torch.equal(fused, method.predict(rows))
    torch.testing.assert_close(weights, torch.full((len(rows), 3), 1 / 3))


def test_uniform_trains_nothing_and_a_device_would_hold_the_sources(task):
    method = UniformEnsemble.build(task("uniform_ensemble"))
    assert not method.trained_parts()
    assert not list(method.parameters())
    assert method.models() == method.bank.sources


def test_weighted_starts_as_the_uniform_one(task):
    made = task("weighted_ensemble")
    rows = made.target.test_rows(made.student_spec)
    uniform, weighted = (kind.build(made).predict(rows) for kind in (UniformEnsemble, WeightedEnsemble))
    assert torch.equal(uniform, weighted)


def test_a_source_that_abstains_on_a_row_counts_less_there(task):
    known, lost = [0.5, 0.3, 0.2], [0.0, 0.0, 0.0]
    outputs = SourceOutputs([], torch.tensor([[known, known, lost], [known, known, known]]))
    for kind in (UniformEnsemble, WeightedEnsemble):
        weights = kind.build(task()).weights(outputs).detach()
        torch.testing.assert_close(weights, torch.tensor([[0.5, 0.5, 0.0], [1 / 3] * 3]), atol=1e-5, rtol=0)


def test_the_loss_is_the_cross_entropy_of_the_fused_prediction(task):
    made = task("weighted_ensemble")
    method, rows = WeightedEnsemble.build(made), made.target.rows(made.student_spec)
    logits = torch.tensor([1.0, -1.0, 0.5])
    method.logits.data.copy_(logits)
    few = rows.labelled
    said = method.bank(few).probabilities.double()
    fused = torch.einsum("n,bnk->bk", logits.double().softmax(0), said / said.sum(-1, keepdim=True))
    expected = -fused[torch.arange(len(few)), rows.label[few]].log().mean()
    index = torch.cat([few, torch.arange(5)])
    label = torch.cat([rows.label[few], torch.full((5,), UNLABELLED)])
    loss = method.losses(Batch(index, rows.source, rows.target[index], label))["weights"]
    torch.testing.assert_close(loss.double(), expected, atol=1e-5, rtol=0)


def test_training_turns_to_the_source_that_knows_the_labels_and_leaves_the_sources_alone(task):
    made = task("weighted_ensemble")
    before = [value.clone() for source in WeightedEnsemble.build(made).bank.sources for value in source.parameters()]
    method = run(made)
    rows = made.target.rows(method.view)
    right = method.bank(rows.labelled).probabilities[torch.arange(3), :, rows.label[rows.labelled]].log().mean(0)
    _, weights = method.explain(rows)
    assert int(weights.mean(0).argmax()) == int(right.argmax())
    torch.testing.assert_close(weights.sum(-1), torch.ones(len(rows)))
    after = [value for source in method.bank.sources for value in source.parameters()]
    assert all(torch.equal(one, other) for one, other in zip(before, after, strict=True))


@pytest.mark.parametrize("kind", [UniformEnsemble, WeightedEnsemble])
def test_one_source_answers_alone(task, kind):
    made = task()
    method = kind.build(replace(made, sources=made.sources[:1]))
    rows = made.target.test_rows(method.view)
    torch.testing.assert_close(method.predict(rows), method.bank.ask(rows.source).probabilities[:, 0])
