import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hatlit.datamodules.target.batches import FewLabelSampler, TargetDataModule
from hatlit.types import UNLABELLED


@settings(max_examples=60, deadline=None)
@given(
    labelled=st.integers(0, 40), unlabelled=st.integers(0, 60), batch_size=st.integers(2, 48), epoch=st.integers(0, 5)
)
def test_an_epoch_shows_every_row_and_every_batch_has_labels(labelled, unlabelled, batch_size, epoch):
    if labelled + unlabelled == 0:
        return
    sampler = FewLabelSampler(torch.arange(labelled), labelled + torch.arange(unlabelled), batch_size, seed=1)
    sampler.set_epoch(epoch)
    batches = [plan.rows for plan in sampler]
    assert len(batches) == len(sampler)
    assert torch.cat(batches).unique().tolist() == list(range(labelled + unlabelled))
    assert all(len(rows) <= batch_size for rows in batches)
    assert len({len(rows) for rows in batches}) == 1
    if labelled:
        assert all((rows < labelled).any() for rows in batches)


def test_order_depends_on_seed_and_epoch_alone():
    def order(seed, epoch):
        sampler = FewLabelSampler(torch.arange(4), torch.arange(4, 40), 8, seed, augment=True)
        sampler.set_epoch(epoch)
        return [(plan.rows.tolist(), plan.augmentation_seed) for plan in sampler]

    assert order(0, 3) == order(0, 3)
    assert order(0, 3) != order(0, 4)
    assert order(0, 3) != order(1, 3)


def test_an_epoch_is_no_shorter_than_is_asked_and_every_row_comes_as_often_as_any_other_but_for_one_time():
    sampler = FewLabelSampler(torch.arange(20), torch.arange(0), 8, seed=0, at_least=7)
    dealt = torch.cat([plan.rows for plan in sampler])
    assert len(sampler) == 7
    assert len(dealt) == 7 * 8
    assert set(torch.bincount(dealt).tolist()) == {2, 3}
    assert len(FewLabelSampler(torch.arange(20), torch.arange(0), 8, seed=0, at_least=2)) == 3


def test_unlabelled_rows_give_their_place_to_a_blend_half_of_the_time():
    sampler = FewLabelSampler(torch.arange(4), torch.arange(4, 400), 8, seed=0, blends=3)
    plain = FewLabelSampler(torch.arange(4), torch.arange(4, 400), 8, seed=0)
    dealt, without = (torch.stack([plan.rows for plan in one]) for one in (sampler, plain))
    assert torch.equal(dealt % 400, without)  # the same rows in the same order, or blends of them
    assert torch.equal(dealt[:, :4], without[:, :4])  # labelled rows stay
    blends = torch.bincount(dealt[:, 4:].flatten() // 400, minlength=4) / dealt[:, 4:].numel()
    assert blends.tolist() == pytest.approx([1 / 2, 1 / 6, 1 / 6, 1 / 6], abs=0.06)


@pytest.mark.parametrize("world_size", [2, 3])
def test_processes_share_each_batch_without_overlap(world_size):
    def batches(rank, world_size):
        sampler = FewLabelSampler(torch.arange(5), torch.arange(5, 50), 12, 0, rank=rank, world_size=world_size)
        return [plan.rows[plan.mine] for plan in sampler]

    whole = batches(0, 1)
    parts = [batches(rank, world_size) for rank in range(world_size)]
    for number, rows in enumerate(whole):
        dealt = torch.cat([part[number] for part in parts])
        assert sorted(dealt.tolist()) == sorted(rows.tolist())


@pytest.mark.parametrize(("labelled", "batch_size"), [(1, 2), (5, 12), (20, 7)])
def test_no_process_gets_two_rows_more_than_another(labelled, batch_size):
    kinds = torch.arange(labelled), torch.arange(labelled, 50)
    plans = [next(iter(FewLabelSampler(*kinds, batch_size, 0, rank=rank, world_size=2))) for rank in (0, 1)]
    dealt = [int(plan.mine.sum()) for plan in plans]
    assert sum(dealt) == len(plans[0].rows)
    assert abs(dealt[0] - dealt[1]) <= 1


def test_a_row_is_augmented_alike_however_many_processes_share_the_batch(make_target):
    target = make_target()
    rows = target.rows(target.spec)

    def views(rank, world_size):
        known = rows.label != UNLABELLED
        labelled, others = torch.nonzero(known).flatten(), torch.nonzero(~known).flatten()
        batches = [rows[plan] for plan in FewLabelSampler(labelled, others, 9, 0, True, rank, world_size)]
        return {int(row): view for row, view in zip(batches[0].index, batches[0].target, strict=True)}

    whole, halves = views(0, 1), [views(rank, 2) for rank in range(2)]
    assert len(halves[0]) + len(halves[1]) == len(whole)
    assert all(torch.equal(view, whole[row]) for half in halves for row, view in half.items())


def test_batches_hold_both_views_and_are_augmented_only_when_asked(make_target):
    target = make_target()
    rows = target.rows(target.spec)
    for augment in (False, True):
        loader = TargetDataModule(rows, 8, seed=0, augment=augment).train_dataloader()
        batch = next(iter(loader))
        assert torch.equal(batch.source, target.asked_samples[batch.index])
        assert torch.equal(batch.target, rows.target[batch.index]) is not augment
        assert torch.equal(batch.label, rows.label[batch.index])


def test_without_unlabelled_rows_the_labelled_ones_come_in_the_same_batches_augmented_alike(make_target):
    target = make_target()
    whole, few = (
        list(TargetDataModule(target.rows(target.spec, deal), 8, seed=0, augment=True).train_dataloader())
        for deal in (True, False)
    )
    assert len(whole) == len(few) > 1
    for batch, alone in zip(whole, few, strict=True):
        known = batch.label != UNLABELLED
        assert not known.all()
        for name in ("index", "source", "target", "label"):
            assert torch.equal(getattr(batch, name)[known], getattr(alone, name)), name


def test_a_batch_with_fewer_than_two_labelled_rows_keeps_the_others(make_target):
    target = make_target(per_class=1, classes=(0,))
    rows = target.rows(target.spec, deal_unlabelled=False)
    known = rows.label != UNLABELLED
    labelled, others = torch.nonzero(known).flatten(), torch.nonzero(~known).flatten()
    lengths = [len(rows[next(iter(FewLabelSampler(labelled, others, 8, 0, False, rank, 2)))].label) for rank in (0, 1)]
    assert lengths == [4, 4]


def test_loading_leaves_the_global_random_numbers_alone(make_target):
    loader = TargetDataModule(make_target().rows(make_target().spec), 8, seed=0, augment=True).train_dataloader()
    before = torch.get_rng_state()
    list(loader)
    assert torch.equal(before, torch.get_rng_state())
