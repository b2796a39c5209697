import wave

import numpy as np
import pytest

from hatlit.encoders.base import InputSpec
from hatlit.errors import InputError
from hatlit.export.artifact import Recording
from hatlit.export.inputs import inputs_of, read_input

IMU = Recording(spec=InputSpec(modality="imu", channels=("x", "y"), shape=(10,), rate=20.0), numbers="float")
SOUND = Recording(spec=InputSpec(modality="audio", channels=("mic",), shape=(100,), rate=1000.0), numbers="integer")
TEXT = Recording(spec=InputSpec(modality="text", channels=("utf8",), shape=(64,), axes=("byte",)), numbers="integer")
PICTURE = Recording(
    spec=InputSpec(modality="image", channels=("red", "green", "blue"), shape=(8, 8)), numbers="integer"
)
DEPTH = Recording(spec=InputSpec(modality="depth", channels=("depth",), shape=(8, 8)), numbers="integer")


def table(path, rows, names=""):
    np.savetxt(path, rows, delimiter=",", header=names, comments="")
    return path


def test_a_table_is_cut_into_samples(tmp_path):
    rows = np.arange(50.0).reshape(25, 2)
    samples, form = read_input(table(tmp_path / "a.csv", rows), IMU)
    assert samples.shape == (2, 2, 10)
    assert form == IMU.spec
    assert np.array_equal(samples[1].T, rows[10:20])


def test_names_in_the_first_row_pick_the_columns(tmp_path):
    rows = np.arange(30.0).reshape(10, 3)
    samples, _ = read_input(table(tmp_path / "a.csv", rows, "y,time,x"), IMU)
    assert np.array_equal(samples[0].T, rows[:, [2, 0]])


def test_a_short_or_faster_table_is_a_sample_of_its_own_length(tmp_path):
    samples, form = read_input(table(tmp_path / "a.csv", np.zeros((7, 2))), IMU)
    assert (samples.shape, form.shape) == ((1, 2, 7), (7,))
    samples, form = read_input(table(tmp_path / "b.csv", np.zeros((45, 2))), IMU, rate=40.0)
    assert (samples.shape, form.rate) == ((2, 2, 20), 40.0)


def sound(path, numbers, rate=1000, channels=1):
    with wave.open(str(path), "wb") as file:
        file.setparams((channels, numbers.dtype.itemsize, rate, 0, "NONE", ""))
        file.writeframes(numbers.tobytes())
    return path


@pytest.mark.parametrize("kind", ["integer", "float"])
@pytest.mark.parametrize(("dtype", "loud"), [("uint8", 192), ("<i2", 2**14), ("<i4", 2**30)])
def test_sound_of_any_width_is_as_loud_as_the_recordings(tmp_path, kind, dtype, loud):
    recording = SOUND.model_copy(update={"numbers": kind})
    samples, form = read_input(sound(tmp_path / "a.wav", np.full(230, loud, dtype)), recording)
    assert samples.shape == (2, 1, 100)
    assert (samples == (2**14 if kind == "integer" else 0.5)).all()
    assert form.rate == 1000.0


def test_two_ears_become_one_and_the_rate_is_that_of_the_file(tmp_path):
    numbers = np.tile(np.array([100, 300], "<i2"), 200)
    samples, form = read_input(sound(tmp_path / "a.wav", numbers, rate=2000, channels=2), SOUND)
    assert samples.shape == (1, 1, 200)
    assert (samples == 200).all()
    assert (form.rate, form.shape) == (2000.0, (200,))


def test_a_line_is_a_text(tmp_path):
    (tmp_path / "a.txt").write_text("good\n\n  quite bad, naïve\n")
    samples, form = read_input(tmp_path / "a.txt", TEXT)
    assert bytes(samples[1, 0].tolist()).rstrip(b"\0").decode() == "quite bad, naïve"
    assert (samples.shape, form.shape) == ((2, 1, 32), (32,))


def test_pictures_in_colour_and_in_grey(tmp_path):
    image = pytest.importorskip("PIL.Image")
    colours = np.random.default_rng(0).integers(0, 256, (5, 7, 3)).astype(np.uint8)
    image.fromarray(colours).save(tmp_path / "a.png")
    image.fromarray(colours[..., 0]).save(tmp_path / "b.png")
    samples, form = read_input(tmp_path / "a.png", PICTURE)
    assert np.array_equal(samples[0].transpose(1, 2, 0), colours)
    assert (form.channels, form.shape) == (("red", "green", "blue"), (5, 7))
    samples, form = read_input(tmp_path / "b.png", PICTURE)
    assert (samples.shape, form.channels) == ((1, 1, 5, 7), ("grey",))


def test_depth_keeps_its_sixteen_bits(tmp_path):
    image = pytest.importorskip("PIL.Image")
    image.fromarray(np.full((5, 7), 3000, np.uint16)).save(tmp_path / "a.png")
    samples, form = read_input(tmp_path / "a.png", DEPTH)
    assert (samples == 3000).all()
    assert (samples.shape, form.channels) == ((1, 1, 5, 7), ("depth",))


def test_arrays_say_how_they_were_recorded_or_are_as_usual(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.zeros((3, 2, 12)))
    samples, form = read_input(tmp_path / "a.npz", IMU)
    assert (samples.shape, form) == ((3, 2, 12), IMU.spec.with_(shape=(12,)))
    assert read_input(tmp_path / "a.npz", IMU, rate=5.0)[1].rate == 5.0
    np.savez(tmp_path / "b.npz", x=np.zeros((3, 2, 12)), channel_names=np.array(["y", "x"]), sample_rate=np.array(40))
    assert read_input(tmp_path / "b.npz", IMU)[1] == IMU.spec.with_(shape=(12,), channels=("y", "x"), rate=40.0)


@pytest.mark.parametrize(
    ("name", "content", "recording", "says"),
    [
        ("a.csv", b"", IMU, "is not a table"),
        ("a.csv", b"1,2\n3\n", IMU, "is not a table of numbers parted by commas"),
        ("a.csv", b"1,nan\n", IMU, "all of them finite"),
        ("a.csv", b"1,2,3\n", IMU, "has 3 columns; the student looks at x, y"),
        ("a.wav", b"RIFF", SOUND, "is not a readable wav file"),
        ("a.txt", b"\n \n", TEXT, "holds no text"),
        ("a.png", b"no picture", PICTURE, "is not a readable picture"),
        ("a.npz", b"PK", IMU, "is not a readable npz file"),
        ("a.wav", b"", IMU, "no file of imu samples; those end in .npz, .csv"),
    ],
)
def test_a_bad_file_is_told_in_one_sentence(tmp_path, name, content, recording, says):
    if name.endswith("png"):
        pytest.importorskip("PIL.Image")
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=says) as fault:
        read_input(tmp_path / name, recording)
    assert "\n" not in str(fault.value)


def test_a_missing_file_is_told(tmp_path):
    for name in ("a.csv", "a.npz"):
        with pytest.raises(InputError, match=r"cannot be read|There is no file"):
            read_input(tmp_path / name, IMU)


def test_a_folder_stands_for_the_files_of_its_modality(tmp_path):
    (tmp_path / "deep").mkdir()
    for name in ("b.csv", "a.csv", "notes.txt", "deep/c.npz"):
        (tmp_path / name).write_text("")
    assert inputs_of(tmp_path, IMU) == [tmp_path / name for name in ("a.csv", "b.csv", "deep/c.npz")]
    assert inputs_of(tmp_path / "notes.txt", IMU) == [tmp_path / "notes.txt"]
