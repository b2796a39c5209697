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
        origin: what the file was made of, from where, and under which licence.
        holds: what is in it.
        reader: which of hatlit's own data sets comes nearest.
        more: further options.
        called: what ``--sets`` calls it, where file and options do not tell it from others.
        unseen: whether nothing about HaT was chosen after a look at it.
        per_class: labels a class where there are few.
    """

    title: str
    modality: str
    note: str
    file: str = ""
    origin: str = ""
    holds: str = ""
    reader: str = ""
    more: tuple[str, ...] = ()
    called: str = ""
    unseen: bool = False
    per_class: int = 1

    @property
    def name(self) -> str:
        """What ``--sets`` calls it."""
        return self.called or "-".join([Path(self.file).stem or f"{self.modality}-demo", *self.more[1:]])


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
        origin="SPAR (Burns et al. 2018), from seglearn 1.2.5; BSD-3-Clause",
        holds="1,149 windows side by side, 6 axes x 200 samples at 50 Hz; 20 arms",
        reader="spar: the same windows",
    ),
    Section(
        "IMU: HMP (a wrist accelerometer, 7 volunteers, 7 activities of daily living)",
        "imu",
        """Very unbalanced, and two volunteers lack an activity. Windows of one recording stay on one side of the
split.""",
        file="imu-hmp.npz",
        origin="HMP (Bruno et al. 2013, UCI), from uTensor/ADL_demo at 37cf159; for research",
        holds="2,175 windows side by side, 3 axes x 96 samples at 32 Hz; 7 volunteers",
        reader="hmp: the same windows",
    ),
    Section(
        "Image: Digits-5 (5 styles of digits, 10 digits)",
        "image",
        """Four sources only, each of 1,260 pictures of another style (MNIST, MNIST-M, USPS, Semeion, optdigits).""",
        file="image-digits5.npz",
        origin="MNIST, MNIST-M, USPS, Semeion and optdigits, from public copies",
        holds="8,997 colour pictures of 28 x 28; 180 a digit of MNIST and of MNIST-M",
        reader="digits5: the same pictures; MNIST-M is not downloaded",
    ),
    Section(
        "Audio: FSDD (6 speakers, 10 spoken digits)",
        "audio",
        """A domain is a speaker, so five sources are all there are.""",
        file="audio-fsdd.npz",
        origin="FSDD (Jackson et al. 2018) at 26eb9aa; CC BY-SA 4.0",
        holds="1,800 words of one second at 8 kHz: takes 0 to 29 of each speaker and digit",
        reader="fsdd: the same words, and takes 30 to 49 as well",
    ),
    Section(
        "Text: MDSD (reviews of 4 kinds of products, positive or negative)",
        "text",
        """Three sources only, each of 1,400 reviews of another kind of product; ten labels a class.""",
        file="text-mdsd.npz",
        origin="MDSD (Blitzer et al. 2007), from ephyros/nlp at 0ce4ee4; for research",
        holds="8,000 reviews, title and text",
        reader="mdsd: the same texts",
        per_class=10,
    ),
    Section(
        "Depth: UTD-MHAD (8 people, 13 actions, single frames)",
        "depth",
        """A sample is one frame of 36 x 36 pixels; frames of one clip stay on one side of the split.""",
        file="depth-utd.npz",
        origin="UTD-MHAD (Chen et al. 2015), from woo-chia-wei/kinect-sequence-classification at 65e9b13; for research",
        holds="2,490 frames of 36 x 36, six of each of 415 clips; 8 people, 13 actions",
        reader="none, nor is it told how the frames were cut out; utd_mhad with --modality depth has the clips",
    ),
    Section(
        "Radar: mTransSee (32 users at 5 distances, 5 gestures)",
        "radar",
        """A domain is a user at a distance, so the zoo of 159 sources holds the target user at other distances.""",
        file="radar-mtranssee.npz",
        origin="mTransSee (Liu et al. 2022) at fdd3f02; MIT",
        holds="9,600 gestures, 4 maps of 32 bins x 24 frames: 12 of each kind, 32 users at 5 distances",
        reader="mtranssee: the same maps",
    ),
    Section(
        "Radar: UWB ranging (8 places, walking or not)",
        "radar",
        """Two classes and about 60 training samples a place; with one label a class a target has two labels.""",
        file="radar-uwb.npz",
        origin="UWB ranging of ClusterFL (Ouyang et al. 2021), from xmouyang/FL-Datasets-for-HAR at 7793f17; MIT",
        holds="663 records of 50 ranging errors and 5 numbers about them; 8 places",
        reader="uwb: the same records",
    ),
    Section(
        "Paired: depth sources teach an IMU student (UTD-MHAD, 8 people, 13 actions)",
        "imu",
        """The student sees 6 axes of an IMU at 50 Hz, the sources see 10 depth frames of the same clip; `best_source`
is a depth model and stays one, so it is no rival on an IMU device.""",
        file="multimodal-utd.npz",
        origin="UTD-MHAD, as depth-utd.npz",
        holds="415 clips as IMU (6 x 180), depth (10 x 40 x 40) and skeleton (60 x 40), row by row in step",
        reader="utd_mhad: the same rows",
        more=("--sources.modality", "depth"),
    ),
    Section(
        "IMU: UTD-MHAD (8 people, 13 actions)",
        "imu",
        """The clips of the paired set, as the IMU has them: sources and student see the same 6 axes.""",
        file="multimodal-utd.npz",
        called="utd-imu",
        unseen=True,
    ),
    Section(
        "Depth clips: UTD-MHAD (8 people, 13 actions)",
        "depth",
        """The clips of the paired set, as the depth camera has them: sources and student see the same 10 frames.""",
        file="multimodal-utd.npz",
        called="utd-clips",
        unseen=True,
    ),
    Section(
        "Skeletons: UTD-MHAD (8 people, 13 actions)",
        "skeleton",
        """The clips of the paired set, as 20 joints over 40 points in time.""",
        file="multimodal-utd.npz",
        called="utd-skeleton",
        unseen=True,
    ),
    Section(
        "Paired: skeletons teach an IMU student (UTD-MHAD, 8 people, 13 actions)",
        "imu",
        """The student sees 6 axes of an IMU, the sources see the skeletons of the same clip.""",
        file="multimodal-utd.npz",
        more=("--sources.modality", "skeleton"),
        called="utd-skeleton-imu",
        unseen=True,
    ),
    Section(
        "Paired: IMU sources teach a depth student (UTD-MHAD, 8 people, 13 actions)",
        "depth",
        """The student sees 10 depth frames, the sources see the IMU of the same clip.""",
        file="multimodal-utd.npz",
        more=("--sources.modality", "imu"),
        called="utd-imu-clips",
        unseen=True,
    ),
)
