import pytest
import torch

from hatlit.injection.losses.convex import convex


@pytest.mark.parametrize(("alpha", "total"), [(0.0, 2.0), (1.0, 6.0), (0.25, 3.0)])
def test_weighs_labels_against_the_dictionary(alpha, total):
    assert float(convex(torch.tensor(2.0), torch.tensor(6.0), alpha)) == pytest.approx(total)
