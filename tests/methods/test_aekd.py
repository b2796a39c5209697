from dataclasses import replace

import numpy as np
import pytest
import torch

from hatlit.datamodules.target.batches import TargetDataModule
from hatlit.fusion.bank import SourceOutputs
from hatlit.methods.aekd import AEKD, shortest_combination
from hatlit.methods.distilling import Lesson
from hatlit.types import UNLABELLED


def combination(vectors, most_weight):
    vectors = torch.as_tensor(vectors, dtype=torch.float64)
    return shortest_combination(vectors @ vectors.T, most_weight).numpy()


def lesson_of(logits, probabilities):
    label = torch.full((len(logits),), UNLABELLED)
    return Lesson(torch.zeros(len(logits), 1), logits, SourceOutputs([], probabilities), label)


def random_lesson(seed=0, rows=6, sources=3, classes=4):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(rows, classes, generator=generator, dtype=torch.float64)
    probabilities = torch.randn(rows, sources, classes, generator=generator, dtype=torch.float64).softmax(-1)
    return lesson_of(logits, probabilities)


@pytest.mark.parametrize(
    ("vectors", "most_weight", "expected"),
    [
        ([[1.0, 0.0], [0.0, 2.0]], 1.0, [0.8, 0.2]),  # weights as 1 / squared length
        ([[1.0, 0.0], [0.0, 2.0]], 0.6, [0.6, 0.4]),  # the bound holds
        ([[1.0], [-1.0]], 0.6, [0.5, 0.5]),  # opposites cancel
        ([[1.0], [2.0], [3.0]], 0.6, [0.6, 0.4, 0.0]),  # the shorter the better, up to the bound
        ([[1.0], [-3.0]], 1.0, [0.75, 0.25]),
        ([[0.0, 0.0], [1.0, 1.0]], 0.6, [0.6, 0.4]),  # one source is satisfied already
        ([[0.0], [0.0], [0.0]], 0.6, [1 / 3, 1 / 3, 1 / 3]),  # all are
        ([[2.0, 1.0], [2.0, 1.0]], 0.6, [0.5, 0.5]),  # twins
        ([[1.0], [5.0]], 0.4, [0.5, 0.5]),  # two of 0.4 would not fill up to one
        ([[1.0], [5.0], [9.0]], 0.0, [1 / 3, 1 / 3, 1 / 3]),
        ([[5.0, 1.0]], 0.6, [1.0]),
    ],
)
def test_shortest_combination_by_hand(vectors, most_weight, expected):
    np.testing.assert_allclose(combination(vectors, most_weight), expected, atol=1e-7)


@pytest.mark.parametrize("count", [2, 3, 5, 8])
@pytest.mark.parametrize("most_weight", [0.25, 0.6, 1.0])
def test_shortest_combination_is_what_a_general_solver_finds(count, most_weight):
    optimize = pytest.importorskip("scipy.optimize")
    bound = max(most_weight, 1 / count)
    for seed in range(5):
        rng = np.random.default_rng(seed)
        vectors = rng.normal(size=(count, 12)) * rng.uniform(0.3, 3, size=(count, 1)) + rng.normal(size=12)
        gram = vectors @ vectors.T
        found = combination(vectors, most_weight)
        reference = optimize.minimize(
            lambda a, gram=gram: a @ gram @ a,
            np.full(count, 1 / count),
            jac=lambda a, gram=gram: 2 * gram @ a,
            bounds=[(0, bound)] * count,
            constraints={"type": "eq", "fun": lambda a: a.sum() - 1},
            method="SLSQP",
            options={"ftol": 1e-14, "maxiter": 1000},
        )
        assert found.min() >= 0
        assert found.max() <= bound + 1e-12
        assert found.sum() == pytest.approx(1)
        assert found @ gram @ found <= reference.fun * (1 + 1e-6)
        np.testing.assert_allclose(found, reference.x, atol=1e-4)


def test_the_length_of_the_gradients_does_not_matter():
    vectors = torch.randn(4, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    np.testing.assert_allclose(combination(vectors, 0.6), combination(1e-6 * vectors, 0.6), atol=1e-6)


@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_gradients_are_those_of_each_divergence(task, temperature):
    """The gradient of T² KL(p_T ‖ softmax(z / T)) with respect to z is T (softmax(z / T) − p_T)."""
    method = AEKD.build(task("aekd", distillation__temperature=temperature))
    lesson = random_lesson()
    softened = lesson.outputs.probabilities.numpy() ** (1 / temperature)
    softened /= softened.sum(-1, keepdims=True)
    q = np.exp(lesson.logits.numpy() / temperature)
    q /= q.sum(-1, keepdims=True)
    expected = temperature * (q[:, None] - softened) / len(q)
    found = method.gradients(lesson).numpy()
    np.testing.assert_allclose(found, expected.transpose(1, 0, 2).reshape(3, -1), atol=1e-10)


def test_the_student_follows_the_shortest_combination(task):
    """What reaches the logits from the distillation is Σ a_m g_m, at any temperature."""
    method = AEKD.build(task("aekd", distillation__temperature=2.0))
    lesson = random_lesson()
    shares = combination(method.gradients(lesson), 0.6)
    logits = lesson.logits.clone().requires_grad_()
    weighted = method.weights(lesson) * method.divergences(logits, lesson)
    weighted.sum(-1).mean().backward()
    torch.testing.assert_close(logits.grad.flatten(), torch.tensor(shares) @ method.gradients(lesson))
    np.testing.assert_allclose(method.weights(lesson), np.broadcast_to(shares, (6, 3)), atol=1e-12)


def test_loss_is_labels_plus_weighted_divergences(task):
    made = task("aekd", distillation__weight=2.0)
    method = AEKD.build(made).double()
    batch = next(iter(TargetDataModule(made.target.rows(method.view), 16, 0).train_dataloader()))
    batch = replace(batch, target=batch.target.double())
    p = method.bank(batch.index).probabilities.numpy()
    q = method.student(batch.target).softmax(-1).detach().numpy()
    shares = combination((q[:, None] - p).transpose(1, 0, 2).reshape(3, -1) / len(q), 0.6)
    told = 2.0 * (shares * (p * np.log(p / q[:, None])).sum(-1)).sum(-1).mean()
    for number, right in ((UNLABELLED, 0.0), (2, -np.log(q[:, 2]).mean())):
        loss = method.losses(replace(batch, label=torch.full_like(batch.label, number)))["student"]
        assert float(loss) == pytest.approx(told + right, abs=1e-5)
    loss.backward()
    assert all(parameter.grad is not None for parameter in method.student.parameters())


def test_a_source_that_abstains_counts_less_on_that_row(task):
    method = AEKD.build(task("aekd"))
    lesson = random_lesson()
    silent = lesson.outputs.probabilities.clone()
    silent[0, 0] = 0
    silent[1] = 0
    weights = method.weights(lesson_of(lesson.logits, silent))
    assert torch.isfinite(weights).all()
    assert float(weights[0, 0]) < 1e-4
    torch.testing.assert_close(weights.sum(-1), torch.ones(6, dtype=torch.float64))
    torch.testing.assert_close(weights[1], weights[2], atol=1e-6, rtol=0)


def test_one_source_gets_all_the_weight(task):
    made = task("aekd")
    method = AEKD.build(replace(made, sources=made.sources[:1]))
    assert torch.equal(method.weights(random_lesson(sources=1)), torch.ones(6, 1, dtype=torch.float64))
