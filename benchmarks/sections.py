"""The data sets that pages of results are made of: the demo and real recordings."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
DATA = Path(os.environ.get("HATLIT_DATA", ROOT.parent / "shared" / "data"))


@dataclass(frozen=True)
class Section:
    """One data set of the page.

    Attributes:
        title: its heading.
        modality: what the student sees.
        note: what a reader must know before believing the numbers.
        file: npz file of real recordings below the data folder; empty for the demo.
        more: further options.
        per_class: labels a class where there are few.
        most_seeds: seeds at most, where a run takes many times as long as elsewhere.
    """

    title: str
    modality: str
    note: str
    file: str = ""
    more: tuple[str, ...] = ()
    per_class: int = 1
    most_seeds: int | None = None

    @property
    def name(self) -> str:
        """What ``--sets`` calls it."""
        return "-".join([Path(self.file).stem or f"{self.modality}-demo", *self.more[1:]])


SECTIONS = (
    Section(
        "IMU demo (simulated)",
        "imu",
        """Nothing about real people follows from this table; see [the demo data](demo-data.md). Four people wear the
device in the same manner, so there are three good sources for each target.""",
    ),
    Section(
        "IMU: SPAR (a watch on 20 arms, 7 shoulder exercises)",
        "imu",
        """The windows are those that `--data.name spar` reads from `watch_dataset.npy` of the seglearn 1.2.5 package
(Burns et al. 2018). A domain is one arm of one person, so the zoo holds the target person's other arm. Each class of
an arm is a single recording: the test part is its last 30 %, not another day.""",
        file="imu-spar.npz",
    ),
    Section(
        "IMU: HMP (a wrist accelerometer, 7 volunteers, 7 activities of daily living)",
        "imu",
        """Very unbalanced, and two volunteers lack an activity. Windows of one recording stay on one side of the
split.""",
        file="imu-hmp.npz",
    ),
    Section(
        "Image: Digits-5 (5 styles of digits, 10 digits)",
        "image",
        """Four sources only, each of 1,260 pictures of another style (MNIST, MNIST-M, USPS, Semeion, optdigits).""",
        file="image-digits5.npz",
        most_seeds=1,
    ),
    Section(
        "Audio: FSDD (6 speakers, 10 spoken digits)",
        "audio",
        """A domain is a speaker, so five sources are all there are.""",
        file="audio-fsdd.npz",
    ),
    Section(
        "Text: MDSD (reviews of 4 kinds of products, positive or negative)",
        "text",
        """Three sources only, each of 1,400 reviews of another kind of product; ten labels a class.""",
        file="text-mdsd.npz",
        per_class=10,
        most_seeds=1,
    ),
    Section(
        "Depth: UTD-MHAD (8 people, 13 actions, single frames)",
        "depth",
        """A sample is one frame of 36 x 36 pixels; frames of one clip stay on one side of the split.""",
        file="depth-utd.npz",
    ),
    Section(
        "Radar: mTransSee (32 users at 5 distances, 5 gestures)",
        "radar",
        """A domain is a user at a distance, so the zoo of 159 sources holds the target user at other distances.""",
        file="radar-mtranssee.npz",
    ),
    Section(
        "Radar: UWB ranging (8 places, walking or not)",
        "radar",
        """Two classes and about 60 training samples a place; with one label a class a target has two labels.""",
        file="radar-uwb.npz",
    ),
    Section(
        "Paired: depth sources teach an IMU student (UTD-MHAD, 8 people, 13 actions)",
        "imu",
        """The student sees 6 axes of an IMU at 50 Hz, the sources see 10 depth frames of the same clip; `best_source`
is a depth model and stays one, so it is no rival on an IMU device.""",
        file="multimodal-utd.npz",
        more=("--sources.modality", "depth"),
    ),
)
