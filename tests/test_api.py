"""From Python, as from the command line: a zoo and a new domain become a student."""

import lightning as L
import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

import hatlit
from hatlit.cli import main
from hatlit.config import TrainConfig

QUICK = {
    "trainer": {"max_epochs": 2},
    "adapt": {"steps": 2},
    "hat": {"experts": {"steps": 2}},
    "wandb": "off",
}
LABELS = {0: "slow", 1: "fast", 2: "still"}


@pytest.fixture(autouse=True)
def own_place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HATLIT_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def ann(make_domain):
    return make_domain("ann", 0, rows=45)


@pytest.fixture
def people(make_domain, tmp_path):
    """A file of arrays with ann and bob."""
    domains = [make_domain(name, seed, rows=45) for seed, name in enumerate(("ann", "bob"))]
    path = tmp_path / "people.npz"
    np.savez(
        path,
        x=np.concatenate([domain.samples for domain in domains]),
        y=np.concatenate([domain.labels for domain in domains]),
        domain=np.repeat(np.arange(2), 45),
        class_names=np.array(domains[0].class_names),
        domain_names=np.array(["ann", "bob"]),
        sample_rate=np.array(16.0),
        channel_names=np.array(["x", "y", "z"]),
    )
    return path


def test_samples_in_memory(zoo_of_two, ann, capsys):
    student = hatlit.expand(zoo_of_two, ann.samples, LABELS, target="ann", **QUICK)
    assert "45 training samples, 3 of them labelled, and none held out" in capsys.readouterr().out
    assert set(student.taught_by) == {"bob", "cid"}
    assert student.class_names == ("fast", "slow", "still")
    assert student.recording.spec == ann.recorded, "channels and rate are those of the zoo"
    assert (student.result["accuracy"], student.result["labels_only"], student.result["test_samples"]) == (
        None,
        None,
        0,
    )
    assert "no samples were held out" in str(student)
    assert "No samples were held out for a test" in (student.folder / "report.html").read_text()
    found = student.predict(ann.samples)
    assert set(found.labels) <= set(ann.class_names)
    np.testing.assert_array_equal(found.probabilities, hatlit.load(student.folder).predict(ann.samples).probabilities)


@pytest.mark.usefixtures("without_pictures")
def test_the_same_call_again_opens_what_is_there(zoo_of_two, ann, capsys):
    first = hatlit.expand(zoo_of_two, ann.samples, LABELS, quiet=True, **QUICK)
    assert capsys.readouterr().out == ""
    second = hatlit.expand(zoo_of_two, torch.from_numpy(ann.samples), LABELS, **QUICK)
    assert second.folder == first.folder
    assert "This run is done already" in capsys.readouterr().out
    other = hatlit.expand(zoo_of_two, ann.samples, {**LABELS, 3: "slow"}, quiet=True, **QUICK)
    assert other.folder != first.folder


@pytest.mark.usefixtures("without_pictures")
def test_a_file_of_arrays_as_from_the_command_line(zoo_of_two, people):
    student = hatlit.expand(zoo_of_two, people, 2, target="ann", quiet=True, **QUICK)
    assert student.result["labels"] == 6
    assert 0 <= student.result["accuracy"] <= 1
    words = f"--data.name arrays --data.root {people} --target ann --labels.per_class 2 --zoo {zoo_of_two} --wandb off"
    quick = "--trainer.max_epochs 2 --adapt.steps 2 --hat.experts.steps 2"
    before = set((student.folder.parent).iterdir())
    assert main(["train", *words.split(), *quick.split()]) == 0
    assert set((student.folder.parent).iterdir()) == before, "it is the same run"


def test_a_share_of_labels_and_a_named_set(zoo_of_two, people):
    task = hatlit.prepare(zoo_of_two, "arrays", 0.5, root=people, target="ann", quiet=True)
    assert len(task.target.split.labelled) == pytest.approx(len(task.target.split.train) / 2, abs=2)


@pytest.mark.filterwarnings("ignore:.*tensorboardX", "ignore:.*logging interval", "ignore:.*dirpath has changed")
def test_a_users_own_trainer_and_data_module_train_hat(zoo_of_two, ann, tmp_path):
    task = hatlit.prepare(zoo_of_two, ann.samples, LABELS, quiet=True, **QUICK)
    method = hatlit.HaT.build(task)
    rows = method.rows(task)

    class MyData(L.LightningDataModule):
        def train_dataloader(self):
            return DataLoader(range(rows.num_recorded), batch_size=16, shuffle=True, collate_fn=self.batch)

        def batch(self, numbers):
            index = torch.tensor(numbers)
            noisy = rows.target[index] + 0.05 * torch.randn(len(index), *rows.target.shape[1:])
            return hatlit.Batch(index, rows.source, noisy, rows.label[index])

    before = [parameter.detach().clone() for parameter in method.student.parameters()]
    trainer = L.Trainer(max_epochs=2, accelerator="cpu", default_root_dir=tmp_path, enable_progress_bar=False)
    trainer.fit(method, datamodule=MyData())
    assert trainer.global_step == 2 * 3 * len(method.trained_parts()), "two passes of three batches"
    assert any((now != then).any() for now, then in zip(method.student.parameters(), before, strict=True))
    assert int(method.dictionary.writes) >= 1
    probabilities = method.predict(rows)[: rows.num_recorded]
    student = hatlit.keep(method, task, tmp_path / "mine")
    np.testing.assert_allclose(student.predict(ann.samples).probabilities, probabilities, atol=1e-5)
    assert hatlit.load(tmp_path / "mine").class_names == task.target.class_names
    assert (tmp_path / "mine" / "README.md").is_file()
    resumed = hatlit.HaT.build(task)
    again = L.Trainer(max_epochs=3, accelerator="cpu", default_root_dir=tmp_path, enable_progress_bar=False)
    again.fit(resumed, datamodule=MyData(), ckpt_path=trainer.checkpoint_callback.best_model_path, weights_only=True)
    assert again.current_epoch == 3


def test_sources_in_memory_need_no_zoo(zoo_of_two, ann):
    zoo = hatlit.Zoo.open(zoo_of_two)
    mine = [hatlit.SelectedSource(c.id, c.encoder, zoo.load(c.id), c.class_names) for c in zoo.cards()]
    target = hatlit.target_of(ann.samples, LABELS, rate=16.0, channels=("x", "y", "z"))
    task = hatlit.TransferTask(target, target.spec, mine, hatlit.options_of(**QUICK))
    method = hatlit.HaT.build(task)
    data = hatlit.TargetDataModule(method.rows(task), batch_size=16, seed=0)
    L.Trainer(max_epochs=1, accelerator="cpu", logger=False, enable_checkpointing=False).fit(method, data)
    assert method.weighed[:2] == ("bob", "cid")


@pytest.mark.parametrize(
    ("data", "labels", "options", "says"),
    [
        ("samples", 1, {}, "need labels={row: class name}"),
        ("samples", None, {}, "need labels={row: class name}"),
        ("samples", LABELS, {"root": "here"}, "Samples in memory have no root"),
        ("samples", LABELS, {"num_source": 3}, "Unknown option 'num_source': did you mean --num_sources"),
        ("samples", LABELS, {"trainer": {"max_epochs": "many"}}, "--trainer.max_epochs must be a whole number"),
        ("samples", LABELS, {"trainer": {"devices": 2}}, "trains in one process"),
        ("samples", {0: "jump"}, {}, "no class name in common with the target"),
        ("samples", LABELS, {"tune": 2}, "--tune needs two labels of each class"),
        ("people.npz", LABELS, {}, "A data set has its labels in it"),
        ("people.npz", 1, {"rate": 16.0}, "says itself how it was recorded"),
        ("people", 1, {}, "Unknown imu data set 'people'"),
        ("nowhere.npz", 1, {}, "nowhere.npz"),
    ],
)
def test_what_cannot_be_is_one_sentence(zoo_of_two, ann, people, data, labels, options, says):
    samples = ann.samples if data == "samples" else data
    with pytest.raises(hatlit.InputError, match=says):
        hatlit.expand(zoo_of_two, samples, labels, quiet=True, **options)


def test_samples_in_memory_without_a_zoo_have_nobody_to_learn_from(ann):
    with pytest.raises(hatlit.InputError, match="no labelled domain besides the target"):
        hatlit.expand(None, ann.samples, LABELS, quiet=True)


def test_keywords_are_the_options_of_the_command_line(tmp_path):
    (tmp_path / "run.yaml").write_text("seed: 4\ntrainer: {max_epochs: 7}\n")
    config = hatlit.options_of(
        config=tmp_path / "run.yaml", trainer={"batch_size": 8}, method="hat_paper", plugin=["a.py"]
    )
    assert isinstance(config, TrainConfig)
    assert (config.seed, config.trainer.max_epochs, config.trainer.batch_size) == (4, 7, 8)
    assert config.plugin == ["a.py"]
    assert config.adapt.steps == 0, "the shipped settings of the method count"


@pytest.mark.usefixtures("without_pictures")
@pytest.mark.parametrize("command", ["rerun", "suggest-labels"])
def test_a_run_on_samples_that_are_not_kept_is_refused_in_one_sentence(zoo_of_two, ann, tmp_path, capsys, command):
    (tmp_path / "run.yaml").write_text("data: {root: people.npz}\n")  # of another run
    student = hatlit.expand(zoo_of_two, ann.samples, LABELS, quiet=True, config=tmp_path / "run.yaml", **QUICK)
    assert main([command, str(student.folder)]) == 2
    said = "was trained on samples in memory, which are not kept; call hatlit.expand again, with the path"
    errors = capsys.readouterr().err
    assert errors.startswith(f"hatlit: '{student.folder}' {said}")
    assert "--data.root" not in errors and errors.count("\n") == 1
