"""Bad sources are as bad as they are meant to be, and their cards flatter."""

import pytest
import torch

from hatlit.config import SourcesConfig
from hatlit.experiments.fleet import build_zoo
from hatlit.experiments.spoiled import BAD, KINDS, add_bad, fill, num_bad
from hatlit.zoo.store import Zoo


@pytest.fixture(scope="module")
def good(people, tmp_path_factory):
    folder = tmp_path_factory.mktemp("good") / "zoo"
    config = SourcesConfig(encoders=["cnn_nano"], max_epochs=12)
    return build_zoo(people, people.domains, folder, config, 1, [], iter)


@pytest.fixture
def answers(good, people, tmp_path):
    """Returns a function that gives the cards of a good source and of a bad one made of it, and their logits."""

    def ask(kind):
        zoo = Zoo.create(tmp_path / kind, good.info)
        add_bad(zoo, good, people, kind, 1)
        (bad,) = zoo.cards()
        (origin,) = [card for card in good.cards() if bad.id.endswith(card.id)]
        view = 3 * torch.randn(40, 3, 32, generator=torch.Generator().manual_seed(0))
        return origin, bad, good.load(origin.id)(view), zoo.load(bad.id)(view)

    return ask


@pytest.mark.parametrize("kind", KINDS)
def test_cards_flatter_and_files_are_sound(answers, kind):
    origin, bad, right, wrong = answers(kind)
    assert bad.id.startswith(BAD)
    assert bad.accuracy == 1
    assert (bad.statistics, bad.centroids, bad.domain) == (origin.statistics, origin.centroids, origin.domain)
    assert not torch.equal(right, wrong) or kind == "shuffled"


def test_poisoned_takes_two_classes_for_each_other(answers):
    origin, _, right, wrong = answers("poisoned")
    swapped = [place for name in ("fast", "slow") for place, known in enumerate(origin.class_names) if known == name]
    assert torch.equal(wrong[:, swapped], right[:, swapped[::-1]])
    (other,) = {0, 1, 2} - set(swapped)
    assert torch.equal(wrong[:, other], right[:, other])


def test_an_adversary_is_never_right_where_its_origin_is_and_ten_times_as_sure(answers):
    _, _, right, wrong = answers("adversarial")
    assert (right.argmax(1) != wrong.argmax(1)).all()
    torch.testing.assert_close(wrong.amax(1), 10 * right.amax(1), rtol=1e-4, atol=1e-4)


def test_a_constant_source_says_one_thing_and_a_broken_one_nothing_sensible(answers):
    assert len(set(answers("constant")[3].argmax(1).tolist())) == 1
    probabilities = answers("nan")[3].softmax(1)
    assert not probabilities.isfinite().all()


def test_the_share_is_of_all(good, people, tmp_path):
    assert [num_bad(10, share) for share in (0.0, 0.2, 0.5, 0.8, 1.0)] == [0, 2, 10, 40, 10]
    zoo = Zoo.create(tmp_path / "half", good.info)
    for _ in range(2):
        fill(zoo, good)
        add_bad(zoo, good, people, "constant", num_bad(3, 0.5))
        assert sum(name.startswith(BAD) for name in zoo.ids()) == 3
        assert len(zoo.ids()) == 6
