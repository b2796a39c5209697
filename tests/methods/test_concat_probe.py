import pytest
import torch

from hatlit.methods.base import StudentMethod
from hatlit.methods.concat_probe import ConcatProbe, fit_head, head_loss, side_by_side

ROWS, WIDTH, CLASSES = 12, 40, 4


def random_rows(seed=0, rows=ROWS, classes=CLASSES):
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(rows, WIDTH, generator=generator)
    return features, torch.arange(rows) % classes


@pytest.mark.parametrize("ridge", [0.01, 1.0, 100.0])
def test_the_gradient_at_the_solution_is_zero(ridge):
    features, label = random_rows()
    head = fit_head(features, label, CLASSES, ridge)
    head.zero_grad()
    head_loss(head, features.double(), label, ridge).backward()
    assert head.weight.dtype == torch.float64
    assert max(float(parameter.grad.abs().max()) for parameter in head.parameters()) < 1e-6


@pytest.mark.parametrize("ridge", [0.1, 1.0])
def test_the_solution_is_that_of_an_independent_solver(ridge):
    np = pytest.importorskip("numpy")
    optimize = pytest.importorskip("scipy.optimize")
    features, label = random_rows(seed=1)
    x, y = features.double().numpy(), np.eye(CLASSES)[label.numpy()]

    def objective(flat):
        weight, bias = flat[: WIDTH * CLASSES].reshape(CLASSES, WIDTH), flat[WIDTH * CLASSES :]
        logits = x @ weight.T + bias
        log_sum = np.log(np.exp(logits - logits.max(1, keepdims=True)).sum(1)) + logits.max(1)
        loss = (log_sum - (logits * y).sum(1)).mean() + ridge / 2 * (weight**2).sum()
        error = (np.exp(logits - log_sum[:, None]) - y) / len(x)
        return loss, np.concatenate([(error.T @ x + ridge * weight).ravel(), error.sum(0)])

    options = {"maxiter": 10000, "gtol": 1e-10, "ftol": 0.0}
    start = np.zeros((WIDTH + 1) * CLASSES)
    solved = optimize.minimize(objective, start, jac=True, method="L-BFGS-B", options=options).x
    head = fit_head(features, label, CLASSES, ridge)
    reference = torch.from_numpy(solved[: WIDTH * CLASSES].reshape(CLASSES, WIDTH))
    torch.testing.assert_close(head.weight.detach(), reference, atol=1e-5, rtol=0)
    # Adding the same to all biases changes nothing.
    bias = torch.from_numpy(solved[WIDTH * CLASSES :])
    torch.testing.assert_close(head.bias.detach() - head.bias.detach().mean(), bias - bias.mean(), atol=1e-5, rtol=0)


def test_a_heavy_ridge_leaves_the_shares_of_the_classes():
    features, label = random_rows(rows=9, classes=3)
    label[:3] = 0
    head = fit_head(features, label, 3, ridge=1e8)
    shares = torch.bincount(label).double() / len(label)
    torch.testing.assert_close(head.bias.detach().softmax(0), shares, atol=1e-6, rtol=0)


def test_a_class_without_rows_is_never_the_answer():
    features, label = random_rows(classes=3)
    head = fit_head(features, label, CLASSES, ridge=1.0)
    assert all(bool(parameter.isfinite().all()) for parameter in head.parameters())
    assert float(head(features.double()).detach().softmax(-1)[:, 3].max()) < 1e-5


def test_it_is_ready_when_it_is_built(task):
    method = ConcatProbe.build(task("concat_probe"))
    assert not method.trained_parts()
    assert method.leaves == "ensemble"
    assert not isinstance(method, StudentMethod)
    assert not any(parameter.requires_grad for parameter in method.parameters())
    assert [*method.models()] == [*method.bank.sources, method.head]


def test_its_head_is_the_one_of_the_labelled_rows(task):
    made = task("concat_probe")
    method, rows = ConcatProbe.build(made), made.target.rows(made.student_spec)
    features = side_by_side(method.bank(rows.labelled))
    assert features.shape == (3, sum(method.bank.feature_dims))
    head = fit_head(features, rows.label[rows.labelled], 3, ConcatProbe.ridge)
    torch.testing.assert_close(method.head.weight.double(), head.weight.detach(), atol=1e-6, rtol=0)
    assert method.predict(rows)[rows.labelled].argmax(-1).tolist() == rows.label[rows.labelled].tolist()


def test_it_beats_chance_on_rows_it_has_not_seen(task):
    made = task("concat_probe")
    method = ConcatProbe.build(made)
    rows = made.target.test_rows(method.view)
    predicted = method.predict(rows)
    assert predicted.dtype == torch.float32
    assert (predicted.argmax(-1) == rows.label).float().mean() > 0.5
