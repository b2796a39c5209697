"""Checkpoints that an interruption cannot break, and a Trainer only where there is hardware for it."""

import errno
import itertools
from types import SimpleNamespace

import lightning as L
import pytest
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.utilities import rank_zero_only
from torch import nn

from hatlit.config import LabelsConfig, TrainConfig, TrainerConfig
from hatlit.datamodules.split import split_domain
from hatlit.datamodules.target.batches import TargetDataModule
from hatlit.datamodules.target.data import TargetData
from hatlit.errors import InputError
from hatlit.experiments.fitting import EpochCounter, LastCheckpoint, make_trainer, planned_epochs
from hatlit.experiments.fitting import fit as fit_method
from hatlit.files import write_atomically
from hatlit.methods.base import METHODS, TransferTask
from hatlit.students.budget import cost

EPOCHS = 4


class Tiny(L.LightningModule):
    """One weight that moves by one each epoch."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))

    def training_step(self, batch, number):
        return -self.weight

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=1.0)

    def train_dataloader(self):
        return torch.utils.data.DataLoader(torch.zeros(1))


class Witness(Callback):
    """Notes, at the start of each epoch and at the end, which epoch the checkpoint on disk is of."""

    def __init__(self, path):
        self.path, self.seen, self.temporary = path, [], []

    def look(self):
        self.seen.append(torch.load(self.path, weights_only=True)["epoch"] if self.path.exists() else None)
        self.temporary += [path.name for path in self.path.parent.glob("*") if path != self.path]

    def on_train_epoch_start(self, trainer, pl_module):
        self.look()

    def on_train_end(self, trainer, pl_module):
        self.look()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "checkpoints" / "last.ckpt"


said = []


def fit(path, seconds, *callbacks):
    said.clear()
    witness = Witness(path)
    config = TrainerConfig(max_epochs=EPOCHS, accelerator="cpu")
    trainer = make_trainer(config, [], [witness, LastCheckpoint(path, seconds, said.append), *callbacks])
    trainer.fit(Tiny())
    return witness


def test_without_a_pause_every_epoch_is_kept(path):
    witness = fit(path, 0)
    assert witness.seen == [None, 0, 1, 2, 3]
    assert witness.temporary == []


def test_the_last_epoch_is_kept_however_long_the_pause(path):
    assert fit(path, 1e9).seen == [None, None, None, None, EPOCHS - 1]


def test_the_pause_begins_anew_with_each_checkpoint(path, monkeypatch):
    now = itertools.count(0, 6)  # each look at the clock, once an epoch and after each checkpoint, takes six seconds
    monkeypatch.setattr("hatlit.experiments.fitting.time", SimpleNamespace(monotonic=lambda: next(now)))
    assert fit(path, 10).seen == [None, None, 1, 1, EPOCHS - 1]


def test_a_checkpoint_is_the_whole_state(path):
    fit(path, 1e9)
    state = torch.load(path, weights_only=True)
    assert state["state_dict"]["weight"] == EPOCHS
    assert len(state["optimizer_states"]) == 1


def test_going_on_from_a_checkpoint(path):
    fit(path, 0)
    longer = TrainerConfig(max_epochs=EPOCHS + 2, accelerator="cpu")
    model = Tiny()
    trainer = make_trainer(longer, [], [LastCheckpoint(path, 0, said.append)])
    trainer.fit(model, ckpt_path=path, weights_only=True)
    assert model.weight == EPOCHS + 2
    assert torch.load(path, weights_only=True)["epoch"] == EPOCHS + 1


@pytest.mark.parametrize(
    ("full_from", "kept", "resumes"), [(2, 1, "with the one before"), (0, None, "from the beginning")]
)
def test_a_full_disk_leaves_the_state_before_and_training_goes_on_with_one_line(
    path, monkeypatch, full_from, kept, resumes
):
    written = itertools.count()

    def write(to, content):
        if next(written) >= full_from:
            raise OSError(errno.ENOSPC, "No space left on device")
        write_atomically(to, content)

    monkeypatch.setattr("hatlit.experiments.fitting.write_atomically", write)
    fit(path, 0)
    assert (torch.load(path, weights_only=True)["epoch"] if path.exists() else None) == kept
    assert said == [
        "The checkpoint cannot be written (No space left on device); training goes on, but if it is interrupted it "
        f"resumes {resumes}."
    ]


def test_checkpoints_leave_nothing_elsewhere(path, tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "elsewhere"))
    monkeypatch.setattr("hatlit.files.os.fsync", lambda handle: 1 / 0)  # as if killed while it writes
    with pytest.raises(ZeroDivisionError):
        fit(path, 0)
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_the_counter_counts_epochs(path):
    counted = []
    fit(path, 1e9, EpochCounter(lambda: counted.append(1)))
    assert len(counted) == EPOCHS


def test_the_trainer_is_as_the_options_say():
    trainer = make_trainer(TrainerConfig(max_epochs=7, accelerator="cpu", precision="bf16-mixed"), [], [])
    assert (trainer.max_epochs, trainer.precision, trainer.world_size) == (7, "bf16-mixed", 1)
    assert trainer.checkpoint_callbacks == []
    assert trainer.logger is None


def test_several_processes_share_no_buffers():
    trainer = make_trainer(TrainerConfig(accelerator="cpu", devices=2), [], [])
    assert trainer.world_size == 2
    assert trainer.strategy._ddp_kwargs["broadcast_buffers"] is False


@pytest.mark.parametrize(
    "options",
    [
        {"accelerator": "abacus"},
        {"accelerator": "tpu"},
        {"accelerator": "cpu", "precision": "13-bit"},
        pytest.param(
            {"accelerator": "gpu"}, marks=pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
        ),
        pytest.param(
            {"accelerator": "cuda", "devices": 99, "batch_size": 99},
            marks=pytest.mark.skipif(torch.cuda.device_count() >= 99, reason="there are as many"),
        ),
    ],
)
def test_hardware_that_is_not_there_is_refused(options):
    with pytest.raises(InputError, match="The Trainer cannot be set up as --trainer asks: ") as error:
        make_trainer(TrainerConfig(**options), [], [])
    assert "\n" not in str(error.value)


@pytest.fixture
def started(monkeypatch):
    """Returns a function that gives this process no variables of a launcher but those named."""
    monkeypatch.setattr(rank_zero_only, "rank", 0)  # a Trainer sets it for good, and loggers of other tests heed it

    def start(**variables):
        for name in ("MASTER_ADDR", "LOCAL_RANK", "TORCHELASTIC_RUN_ID", "SLURM_NTASKS"):
            monkeypatch.delenv(name, raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return start


def test_several_machines_without_a_launcher_are_refused_rather_than_waited_for(started):
    started()
    with pytest.raises(InputError) as error:
        make_trainer(TrainerConfig(accelerator="cpu", num_nodes=2), [], [])
    assert str(error.value) == (
        "--trainer.num_nodes 2 needs a launcher on each machine; start the command with torchrun (docs/distributed.md)."
    )


@pytest.mark.parametrize(
    "variables",
    [
        "TORCHELASTIC_RUN_ID=1 RANK=0 LOCAL_RANK=0 WORLD_SIZE=2",
        "SLURM_NTASKS=2 SLURM_NTASKS_PER_NODE=1 SLURM_PROCID=0 SLURM_NODEID=0 SLURM_LOCALID=0",
        "MASTER_ADDR=10.0.0.1 MASTER_PORT=29500 NODE_RANK=1",
    ],
    ids=["torchrun", "SLURM", "by hand"],
)
def test_several_machines_meet_where_something_has_started_them(started, variables):
    started(**dict(one.split("=") for one in variables.split()))
    assert make_trainer(TrainerConfig(accelerator="cpu", num_nodes=2), [], []).num_nodes == 2


@pytest.mark.parametrize(("max_epochs", "max_steps", "planned"), [(5, 1000, 5), (5, 1, 1), (60, 13, 3), (60, 12, 2)])
def test_no_pass_begins_behind_the_last_step(make_domain, max_epochs, max_steps, planned):
    domain = make_domain("ann", 0, rows=90)
    target = TargetData(domain, split_domain(domain, LabelsConfig(), seed=0))
    data = TargetDataModule(target.rows(target.spec), 13, seed=0)
    assert data.steps_per_epoch == 6
    assert planned_epochs(data, TrainerConfig(max_epochs=max_epochs, max_steps=max_steps)) == planned


class Counting(Callback):
    """Notes how many threads a batch is trained with."""

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        self.threads = torch.get_num_threads()


@pytest.mark.parametrize(("share", "threads"), [(0.99, 2), (1.01, 1)])
def test_a_step_that_is_worth_it_has_all_threads_and_a_small_one_has_one(
    make_domain, two_threads, monkeypatch, share, threads
):
    domain = make_domain("ann", 0)
    target = TargetData(domain, split_domain(domain, LabelsConfig(), seed=0))
    task = TransferTask(target, target.spec, (), TrainConfig(method="labels_only", student="cnn_nano"))
    method = METHODS.get("labels_only").build(task)
    a_step = cost(method.student, method.view).macs * 16
    monkeypatch.setattr("hatlit.students.budget.WORTH_THREADS", a_step * share)
    counting = Counting()
    trainer = make_trainer(TrainerConfig(max_epochs=1, accelerator="cpu"), [], [counting])
    fit_method(method, TargetDataModule(method.rows(task), 16, seed=0), trainer, 0, None)
    assert counting.threads == threads
    assert torch.get_num_threads() == 2
