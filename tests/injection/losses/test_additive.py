import pytest
import torch

from hatlit.injection.losses.additive import additive


@pytest.mark.parametrize(("alpha", "total"), [(0.0, 2.0), (1.0, 8.0), (0.25, 3.5)])
def test_labels_keep_their_full_weight(alpha, total):
    labels = torch.tensor(2.0, requires_grad=True)
    loss = additive(labels, torch.tensor(6.0), alpha)
    loss.backward()
    assert float(loss) == pytest.approx(total)
    assert float(labels.grad) == 1.0
