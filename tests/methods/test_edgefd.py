import copy
from dataclasses import replace

import numpy as np
import torch

from hatlit.datamodules.target.batches import TargetDataModule
from hatlit.fusion.bank import run
from hatlit.fusion.mixer import fuse
from hatlit.methods.distilling import even_weights
from hatlit.methods.edgefd import EdgeFD, distance_to_domain, who_speaks
from hatlit.methods.kd import KD


def batch_of(task, method):
    return next(iter(TargetDataModule(method.rows(task), 16, 0).train_dataloader()))


def test_distance_is_to_the_nearest_known_centroid():
    features = torch.tensor([[0.0, 0.0], [3.0, 4.0]], dtype=torch.float64)
    centroids = ((0.0, 1.0), None, (3.0, 0.0))
    np.testing.assert_allclose(distance_to_domain(features, centroids).numpy(), [1, 4])
    assert torch.equal(distance_to_domain(features, ()), torch.zeros(2))
    assert torch.equal(distance_to_domain(features, (None,)), torch.zeros(2))


def test_each_source_speaks_for_the_nearer_half_and_all_where_nobody_would():
    distances = torch.tensor([[1.0, 90.0], [2.0, 80.0], [3.0, 10.0], [4.0, 95.0]])
    expected = [[True, False], [True, True], [False, True], [True, True]]
    assert who_speaks(distances).tolist() == expected
    assert torch.equal(who_speaks(distances * torch.tensor([1.0, 1e-3])), torch.tensor(expected))


def test_a_source_without_centroids_speaks_for_every_row():
    assert who_speaks(torch.tensor([[0.0, 1.0], [0.0, 2.0], [0.0, 3.0]]))[:, 0].all()


def test_the_domain_is_measured_with_the_source_as_it_was_trained(task):
    made = task("edgefd", adapt__steps=20)
    method = EdgeFD.build(made)
    seen = run([source.model for source in made.sources], made.target.asked_samples, made.target.asked.recorded)
    for number, source in enumerate(made.sources):
        features = seen[number]["features"].double().numpy()
        apart = features[:, None] - np.array([one for one in source.centroids if one is not None])
        distance = np.sqrt(np.square(apart).sum(-1)).min(1)
        near = torch.from_numpy(distance <= np.median(distance))
        assert method.speaks[near, number].all()
        alone = method.speaks[~near, number]
        assert method.speaks[~near][alone].all()  # only where nobody else would speak


def test_those_who_speak_count_alike_and_the_others_not_at_all(task):
    made = task("edgefd")
    method = EdgeFD.build(made)
    batch = batch_of(made, method)
    said = method.bank(batch.index).probabilities.double().numpy()
    speaks = method.speaks[batch.index].numpy()
    weights = said.sum(-1) * speaks
    weights /= weights.sum(-1, keepdims=True)
    expected = np.einsum("bn,bnk->bk", weights, said / said.sum(-1, keepdims=True))
    np.testing.assert_allclose(method.taught(method.lesson(batch)).numpy(), expected, atol=1e-5)
    assert not speaks.all()


def test_the_only_source_speaks_for_every_row(task):
    made = task("edgefd")
    made = replace(made, sources=made.sources[:1])
    method, plain = EdgeFD.build(made), KD.build(made)
    batch = batch_of(made, method)
    assert method.speaks.all()
    torch.testing.assert_close(method.losses(batch)["student"], plain.losses(batch)["student"])


def test_sources_that_know_none_of_the_classes_give_no_nan(task):
    made = task("edgefd")
    method = EdgeFD.build(made)
    method.bank.get_buffer("probabilities").zero_()
    outputs = method.lesson(batch_of(made, method)).outputs
    torch.testing.assert_close(fuse(even_weights(outputs), outputs.probabilities), torch.full((16, 3), 1 / 3))


def test_a_source_that_was_left_out_is_not_measured_either(task):
    made = task("edgefd", adapt__steps=0)
    broken = copy.deepcopy(made.sources[1].model)
    torch.nn.init.constant_(broken.head.bias, torch.nan)
    first, second, third = made.sources
    method = EdgeFD.build(replace(made, sources=(first, replace(second, model=broken), third)))
    without = EdgeFD.build(replace(made, sources=(first, third)))
    assert method.bank.left_out == (second.id,)
    assert torch.equal(method.speaks, without.speaks)
