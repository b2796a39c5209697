import copy
from dataclasses import replace

import pytest
import torch

from hatlit.datamodules.target.batches import TargetDataModule
from hatlit.errors import InputError
from hatlit.experiments.fitting import fit, make_trainer
from hatlit.fusion.bank import SourceBank
from hatlit.fusion.cache import weights_hash
from hatlit.fusion.consensus import entropy, find_consensus
from hatlit.fusion.experts import voices_of_experts
from hatlit.fusion.mixer import conditional, log_prior
from hatlit.injection.dictionary import sharpen
from hatlit.injection.losses.distillation import distillation
from hatlit.methods.base import METHODS
from hatlit.methods.hat import HaT
from hatlit.methods.teachers import voices_of_sources
from hatlit.types import UNLABELLED, Batch


def batch_of(task, method):
    return next(iter(TargetDataModule(method.rows(task), 16, 0).train_dataloader()))


def run(task, method=None):
    method = method or HaT.build(task)
    data = TargetDataModule(method.rows(task), 16, task.config.seed)
    fit(method, data, make_trainer(task.config.trainer, [], []), task.config.seed, None)
    return method


def test_gradient_reaches_every_trainable_tensor_and_no_frozen_one(task):
    made = task(hat__mixer__train_heads=True, trainer__max_epochs=1)
    method = run(made)
    method.zero_grad()
    batch = batch_of(made, method)
    torch.stack(list(method.losses(batch).values())).sum().backward()
    trained = {id(p) for parameters in method.trained_parts().values() for p in parameters}
    for name, parameter in method.named_parameters():
        assert id(parameter) in trained, f"{name} has no optimizer"
        assert parameter.grad is not None, f"no gradient reaches {name}"
        assert float(parameter.grad.abs().sum()) > 0 or name.startswith("mixer.keys"), f"the gradient of {name} is zero"
    assert all(p.grad is None for source in method.bank._sources for p in source.parameters())
    assert all(float(key.weight.grad.abs().sum()) > 0 for key in method.mixer.keys)


@pytest.mark.parametrize("detached", [True, False])
def test_the_mixers_loss_stops_at_the_students_features_unless_told_otherwise(task, detached):
    made = task(hat__mixer__detach_query=detached)
    method = HaT.build(made)
    method.losses(batch_of(made, method))["mixer"].backward()
    reached = any(p.grad is not None and p.grad.abs().sum() > 0 for p in method.student.parameters())
    assert reached is not detached


def test_narrowed_features_are_what_attention_and_hint_see(task):
    made = task(hat__mixer__feature_width=3, trainer__max_epochs=1)
    method = run(made)
    assert [key.in_features for key in method.mixer.keys] == [3] * len(method.bank)
    assert method.hint.project.out_features == 3 * len(method.bank.sources)
    fused, weights = method.explain(method.rows(made))
    torch.testing.assert_close(fused.sum(-1), torch.ones(len(fused)))
    torch.testing.assert_close(weights.sum(-1), torch.ones(len(weights)))


def test_before_the_first_write_the_student_learns_from_labels_alone(task):
    made = task(hat__injection__hint_weight=0.0)
    method, plain = HaT.build(made), METHODS.get("labels_only").build(task("labels_only"))
    batch = batch_of(made, method)
    assert float(method.alpha) == 0
    assert torch.allclose(method.losses(batch)["student"], plain.losses(batch)["student"])


def test_after_a_write_the_loss_is_labels_plus_dictionary(task):
    made = task(hat__injection__hint_weight=0.0, hat__injection__weight=3.0, hat__injection__blends=0)
    method = HaT.build(made)
    batch = batch_of(made, method)
    before = method.losses(batch)["student"].detach()
    fused = torch.full_like(method.dictionary.entries, 1 / 3)
    method.dictionary.write(0.5, fused)
    method.alpha.fill_(0.5)
    log_q = method.student(batch.target).log_softmax(-1)
    divergence = ((1 / 3) * (torch.log(torch.tensor(1 / 3)) - log_q)).sum(-1).mean()
    assert torch.allclose(method.losses(batch)["student"], before + 0.5 * 3.0 * divergence, atol=1e-6)


def test_dictionary_holds_the_fused_predictions_of_the_best_mixer(task):
    method = run(task(hat__injection__sharpen=1.0, trainer__max_epochs=1))
    everything = torch.arange(len(method.dictionary.entries))
    _, fused = method.fused(method._views, method.bank(everything), method._log_priors[everything])
    assert torch.allclose(method.dictionary.entries, fused, atol=1e-6)
    assert float(method.alpha) == float(method.dictionary.best)


def test_a_closed_gate_writes_nothing_and_leaves_alpha_at_zero(task):
    method = run(task(hat__dictionary__threshold=1.1))
    assert method.dictionary.writes == 0
    assert float(method.alpha) == 0


def test_a_strict_gate_writes_less_often_than_a_lenient_one(task):
    strict, lenient = (run(task(hat__dictionary__strict=strict)) for strict in (True, False))
    assert 1 <= int(strict.dictionary.writes) <= int(lenient.dictionary.writes)


def test_the_gate_may_be_asked_after_each_step(task):
    made = task(hat__dictionary__when="step", trainer__max_epochs=1)
    method = run(made)
    batches = len(TargetDataModule(method.rows(made), 16, 0).train_dataloader())
    assert int(method.dictionary.writes) > 1
    assert int(method.dictionary.writes) <= batches + 1


@pytest.mark.parametrize("strict", [True, False])
def test_without_a_gate_every_measurement_writes(task, strict):
    options = {"hat__dictionary__strict": strict, "hat__dictionary__threshold": 1.1}
    assert int(run(task(hat__dictionary__gate=False, **options)).dictionary.writes) == 3
    assert int(run(task(**options)).dictionary.writes) == 0


def test_an_open_gate_lets_a_worse_mixer_write(task):
    for gate in (True, False):
        method = HaT.build(task(hat__dictionary__gate=gate))
        method.dictionary.write(0.9, method.dictionary.entries)
        assert method.dictionary.accepts(0.1) is not gate


def test_without_a_dictionary_nothing_is_written_yet_alpha_is_measured(task):
    method = run(task(hat__dictionary__when="never", trainer__max_epochs=1))
    uniform = torch.full_like(method.dictionary.entries, 1 / 3)
    assert method.dictionary.writes == 0
    assert torch.equal(method.dictionary.entries, uniform)
    few = method._labelled
    _, fused = method.fused(method._views[few], method.bank(few), method._log_priors[few])
    right = fused.argmax(-1) == method._labels[few]
    assert float(method.alpha) == pytest.approx(float(right.float().mean()))
    assert float(method.alpha) > 0


def test_without_a_dictionary_the_student_learns_from_the_mixer_as_it_is(task):
    made = task(
        hat__dictionary__when="never",
        hat__injection__hint_weight=0.0,
        hat__injection__weight=3.0,
        hat__injection__sharpen=2.0,
    )
    method, plain = HaT.build(made), METHODS.get("labels_only").build(made)
    batch = batch_of(made, method)
    from_labels = plain.losses(batch)["student"]
    assert torch.allclose(method.losses(batch)["student"], from_labels), "alpha is still zero"
    method.alpha.fill_(0.5)
    for shift in (0.0, 1.0):
        method.mixer.query.bias.data.add_(shift)
        features, logits = method.student.both(batch.target)
        _, fused = method.mix(features, method.bank(batch.index), method._log_priors[batch.index])
        told = distillation(logits, sharpen(fused.detach(), 2.0)).mean()
        assert torch.allclose(method.losses(batch)["student"], from_labels + 0.5 * 3.0 * told, atol=1e-6)


def test_the_full_schedule_goes_to_one_at_the_first_write(task):
    method = run(task(hat__injection__schedule="full", trainer__max_epochs=1))
    assert method.dictionary.writes > 0
    assert float(method.alpha) == 1
    closed = run(task(hat__injection__schedule="full", hat__dictionary__threshold=1.1, trainer__max_epochs=1))
    assert float(closed.alpha) == 0


def test_weights_that_stay_at_an_even_prior_leave_no_mixer_to_train(task):
    made = task(hat__mixer__weights="prior", hat__mixer__prior="uniform", trainer__max_epochs=1)
    method = run(made)
    assert method.mixer is None
    assert [*method.trained_parts()] == [*method.losses(batch_of(made, method))] == ["student"]
    rows = made.target.test_rows(method.view)
    fused, weights = method.explain(rows)
    torch.testing.assert_close(weights, torch.full((len(rows), 5), 1 / 5))
    torch.testing.assert_close(fused, method.bank.ask(rows.source, rows.target).probabilities.mean(1))
    assert method.dictionary.writes > 0


def test_without_attention_the_heads_may_still_learn(task):
    even = {"hat__mixer__weights": "prior", "hat__mixer__prior": "uniform"}
    made = task(**even, hat__mixer__train_heads=True, trainer__max_epochs=1)
    method = run(made)
    assert method.trained_parts()["mixer"] == [*method.bank.heads.parameters()]
    assert float(method.bank.distance_to_start().detach()) > 0
    method.zero_grad()
    method.losses(batch_of(made, method))["mixer"].backward()
    assert all(float(parameter.grad.abs().sum()) > 0 for parameter in method.bank.heads.parameters())
    _, weights = method.explain(made.target.test_rows(method.view))
    torch.testing.assert_close(weights, torch.full_like(weights, 1 / 5))


@pytest.mark.parametrize("prior", ["consensus", "uniform"])
def test_features_on_disk_are_not_read_to_build_the_method_or_to_find_suspicious_sources(task, monkeypatch, prior):
    made = task(cache__map_above=0.0, hat__mixer__prior=prior)

    def refuse(bank, rows):
        raise AssertionError("features were looked up")

    monkeypatch.setattr(SourceBank, "_features", refuse)
    method = HaT.build(made)
    method.suspicious()
    with pytest.raises(AssertionError, match="looked up"):
        method.bank(torch.arange(2))


def test_features_on_disk_are_read_in_portions(task, monkeypatch):
    read, look_up = [], SourceBank._features
    monkeypatch.setattr("hatlit.encoders.base.ROWS_A_PASS", 10)
    monkeypatch.setattr("hatlit.fusion.bank.ROWS_A_PASS", 10)

    def count(bank, rows):
        read.append(len(rows))
        return look_up(bank, rows)

    monkeypatch.setattr(SourceBank, "_features", count)
    method = run(task(cache__map_above=0.0, hat__mixer__train_heads=True, trainer__max_epochs=1))
    method.suspicious()
    assert method.dictionary.writes > 0
    assert max(read) <= 16  # a batch


def test_experts_are_asked_after_the_sources_and_the_prior_is_what_they_agree_on(task):
    method = HaT.build(task(hat__mixer__discount_sources=False))
    assert method.bank.names == ("source-0", "source-1", "source-2", "own-expert-0", "own-expert-1")
    recorded = torch.arange(len(method._labels))
    said = conditional(method.bank(recorded).probabilities)
    heard = torch.cat([torch.ones(3), voices_of_experts(said, method._labels, torch.ones(3))])
    consensus = find_consensus(said, method._labels, heard, discount_unsure=True)
    everything = method.bank(torch.arange(len(method._log_priors))).probabilities
    torch.testing.assert_close(method._log_priors, log_prior(consensus.agreement(everything)))
    even = HaT.build(task(hat__mixer__prior="uniform"))
    torch.testing.assert_close(even._log_priors.exp(), torch.full_like(even._log_priors, 1 / 5))


def test_experts_may_be_heard_in_full(task):
    method = HaT.build(task(hat__mixer__discount_experts=False, hat__mixer__discount_sources=False))
    assert method.consensus.voices.tolist() == [1, 1, 1, 1, 1]


def test_experts_are_measured_by_the_sources_that_are_heard(task, monkeypatch):
    measured = []

    def keep(said, label, of_sources):
        measured.append(of_sources)
        return voices_of_experts(said, label, of_sources)

    monkeypatch.setattr("hatlit.methods.hat.voices_of_experts", keep)
    asked = task()
    method = HaT.build(asked)
    foretold = torch.tensor(list(voices_of_sources(asked).values()))
    torch.testing.assert_close(measured[0], foretold)
    torch.testing.assert_close(method.consensus.voices[:3], foretold)


def test_sources_may_be_heard_as_well_as_they_foretold_the_labels(task):
    asked = task(hat__mixer__discount_sources=True, hat__mixer__discount_experts=False)
    method = HaT.build(asked)
    foretold = voices_of_sources(asked)
    assert list(foretold) == ["source-0", "source-1", "source-2"]
    assert max(foretold.values()) == 1 > min(foretold.values())
    torch.testing.assert_close(method.consensus.voices, torch.tensor([*foretold.values(), 1.0, 1.0]))


def test_sources_may_count_less_for_samples_that_they_are_not_sure_of(task):
    plain, heedful = (HaT.build(task(hat__mixer__discount_unsure=discount)) for discount in (False, True))
    said = conditional(heedful.bank.predictions(torch.arange(len(heedful._labels))))
    expected = find_consensus(said, heedful._labels, heedful.consensus.voices, discount_unsure=True)
    torch.testing.assert_close(heedful.consensus.agreement(said), expected.agreement(said))
    assert torch.isinf(plain.consensus.usual_entropy)
    surest = entropy(said).argmin(1, keepdim=True)
    most, usual = (method._log_priors[: len(said)].gather(1, surest).mean() for method in (heedful, plain))
    assert most > usual


def test_a_source_that_was_left_out_takes_nobodys_voice(task):
    asked = task(hat__mixer__discount_sources=True, hat__mixer__discount_experts=False)
    broken = copy.deepcopy(asked.sources[0])
    torch.nn.init.constant_(broken.model.head.bias, torch.nan)
    asked = replace(asked, sources=[broken, *asked.sources[1:]])
    method = HaT.build(asked)
    foretold = voices_of_sources(asked)
    assert method.bank.names[:2] == ("source-1", "source-2")
    assert foretold["source-0"] == min(foretold.values())
    expected = [foretold["source-1"], foretold["source-2"], 1.0, 1.0]
    torch.testing.assert_close(method.consensus.voices, torch.tensor(expected))


def test_without_a_label_all_sources_are_heard_alike(task):
    asked = task(hat__mixer__discount_sources=True, per_class=0)
    assert voices_of_sources(asked) == {}
    assert HaT.build(asked).consensus.voices.tolist() == [1, 1, 1]


def test_blends_are_asked_about_and_taught_as_the_mixer_says_now(task):
    method = run(task(hat__injection__blends=2, trainer__max_epochs=1))
    recorded = len(method._labels)
    assert len(method.dictionary.entries) == recorded
    assert len(method._log_priors) == 3 * recorded
    rows = torch.tensor([0, recorded, 2 * recorded + 5])
    labels = torch.full((3,), UNLABELLED)
    seen = method.look_up(Batch(rows, method._views, method._views[:3], labels))
    assert seen.is_known.tolist() == [True, False, False]
    torch.testing.assert_close(seen.known[0], method.dictionary.entries[0])
    features, logits = method.student.both(seen.view)
    _, fused = method.mix(features, seen.outputs, seen.log_prior)
    taught = torch.stack([method.dictionary.entries[0], fused[1], fused[2]])
    method.alpha.fill_(1.0)
    method.hint = None
    expected = method.config.injection.weight * distillation(logits, taught).mean()
    torch.testing.assert_close(method.cost(seen)["student"], expected)


def test_what_is_known_of_a_blend_is_what_the_sources_say_of_it(task):
    made = task(hat__injection__blends=1)
    method = HaT.build(made)
    rows = method.rows(made)
    blends = slice(rows.num_recorded, None)
    outputs = method.bank.ask(rows.source[blends], rows.target[blends])
    kept = method.bank(torch.arange(len(rows))[blends])
    torch.testing.assert_close(kept.probabilities, outputs.probabilities, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(
        method._log_priors[blends], method.log_prior(outputs.probabilities), atol=1e-5, rtol=1e-4
    )


def test_of_many_rows_there_are_fewer_blends(task, monkeypatch):
    made = task()
    recorded = len(made.target.train_labels)
    monkeypatch.setattr("hatlit.methods.hat.MOST_BLENDS", 2 * recorded + 1)
    assert HaT.build(made).rows(made).blends == 2
    monkeypatch.setattr("hatlit.methods.hat.MOST_BLENDS", recorded - 1)
    assert HaT.build(made).rows(made).blends == 0


def test_without_blends_all_is_recorded(task):
    made = task(hat__injection__blends=0)
    method = HaT.build(made)
    assert len(method.rows(made)) == len(method._labels) == len(method._log_priors)


def test_without_attention_each_source_counts_as_its_prior_says(task):
    made = task(hat__mixer__weights="prior", trainer__max_epochs=1)
    method = run(made)
    rows = made.target.test_rows(method.view)
    _, weights = method.explain(rows)
    prior = method.log_prior(method.bank.ask(rows.source, rows.target).probabilities).exp()
    torch.testing.assert_close(weights, prior)


def test_the_hint_is_about_the_sources_alone(task):
    method = HaT.build(task())
    assert method.hint.project.out_features == sum(source.feature_dim for source in method.bank.sources)


def test_without_a_hint_there_is_none_to_train(task):
    hint, none = (HaT.build(task(hat__injection__hint_weight=weight)) for weight in (1.0, 0.0))
    assert none.hint is None
    more = len(hint.trained_parts()["student"]) - len(none.trained_parts()["student"])
    assert more == len([*hint.hint.parameters()]) > 0


def test_learning_heads_move_but_are_held_by_the_pull(task):
    free = run(task(hat__mixer__train_heads=True, hat__mixer__head_pull=0.0, hat__mixer__learning_rate=0.05))
    held = run(task(hat__mixer__train_heads=True, hat__mixer__head_pull=100.0, hat__mixer__learning_rate=0.05))
    assert 0 < float(held.bank.distance_to_start().detach()) < float(free.bank.distance_to_start().detach())


def test_checkpoint_holds_hashes_in_place_of_sources(task, tmp_path):
    made = task()
    method = HaT.build(made)
    trainer = make_trainer(made.config.trainer, [], [])
    fit(method, TargetDataModule(method.rows(made), 16, 0), trainer, 0, None)
    trainer.save_checkpoint(tmp_path / "state.ckpt")
    saved = torch.load(tmp_path / "state.ckpt", weights_only=True)
    assert saved["sources"] == {source.id: weights_hash(source.model) for source in made.sources}
    size = sum(value.numel() for value in saved["state_dict"].values())
    trained = sum(p.numel() for parts in method.trained_parts().values() for p in parts)
    assert size == trained + method.dictionary.entries.numel() + 3  # best, writes, alpha


def test_going_on_with_other_sources_is_refused(task):
    made = task()
    method = HaT.build(made)
    fewer = HaT.build(type(made)(made.target, made.student_spec, made.sources[:2], made.config))
    checkpoint = {}
    method.on_save_checkpoint(checkpoint)
    with pytest.raises(InputError, match="began with other sources: source-2 differ"):
        fewer.on_load_checkpoint(checkpoint)
    changed = {**checkpoint, "sources": {**checkpoint["sources"], "source-0": "0" * 64}}
    with pytest.raises(InputError, match="began with other sources: source-0 differ"):
        method.on_load_checkpoint(changed)
    method.on_load_checkpoint(checkpoint)


def test_without_adaptation_the_sources_stay_as_they_are(task):
    method = HaT.build(task(adapt__steps=0))
    for adapted, source in zip(method.bank._sources, task().sources, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(adapted.parameters(), source.model.parameters(), strict=True))


def test_student_beats_chance_and_mixer_explains_itself(task):
    made = task(trainer__max_epochs=15, adapt__steps=30)
    method = run(made)
    rows = made.target.test_rows(method.student.input_spec)
    fused, weights = method.explain(rows)
    assert fused.shape == (len(rows), 3)
    assert torch.allclose(weights.sum(-1), torch.ones(len(rows)))
    assert (method.student.eval()(rows.target).argmax(-1) == rows.label).float().mean() > 0.6
    assert (rows.label != UNLABELLED).all()


def test_one_source_gets_all_the_weight(task):
    made = task()
    made.config.hat.experts.count = 0
    method = run(type(made)(made.target, made.student_spec, made.sources[:1], made.config))
    _, weights = method.explain(made.target.test_rows(method.student.input_spec))
    assert torch.allclose(weights, torch.ones_like(weights))
