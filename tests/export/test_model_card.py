import json
import re

import pytest
import yaml

import hatlit
from hatlit.export.deployed import read_student
from hatlit.export.model_card import code, model_card, write_model_card
from hatlit.students.budget import cost

SCORES = ("accuracy", "balanced_accuracy", "macro_f1", "nll", "calibration_error")
RESULT = {
    "method": "hat",
    "labels": 4,
    "seed": 7,
    "training_samples": 42,
    "test_samples": 18,
    "is_demo": False,
    **dict(zip(SCORES, (0.9, 0.8, 0.7, 0.6, 0.5), strict=True)),
    "labels_only": dict(zip(SCORES, (0.41, 0.42, 0.43, 0.44, 0.45), strict=True)),
}
VERDICTS = {
    "sources": [
        dict(zip(("id", "encoder", "coarse_score", "fine_score", "accuracy", "selected"), verdict, strict=True))
        for verdict in (
            ("ann", "tcn_tiny", -0.25, 0.5, 1.0, True),
            ("bob", "cnn_tiny", None, 0.4, None, True),
            ("cid", "cnn_tiny", -3.0, 0.1, 0.0, False),
        )
    ]
}
HOSTILE = "a|b\n# c `d` ``e`` <script> [f](g) \u202e --- \x07@h"


def front_matter(text):
    return yaml.safe_load(text.split("---\n")[1])


def test_it_says_what_the_run_says(finished):
    text = model_card(finished, RESULT, VERDICTS)
    assert front_matter(text) == {
        "library_name": "hatlit",
        "tags": ["hatlit", "imu", "hat"],
        "datasets": ["made-up"],
    }
    assert "# `cnn_nano` for `walker`" in text
    assert "tells 4 classes of `imu` samples apart: `slow`, `fast`, `still`, `run`." in text
    assert "(N, 3, 32), channels `x`, `y`, `z`, then `time`, 16 Hz" in text
    assert "| `ann` | `tcn_tiny` | -0.250 | 0.500 | 1.000 |" in text
    assert "| `bob` | `cnn_tiny` | - | 0.400 | - |" in text
    assert "Chosen of 3" in text and "cid" not in text
    assert "On 18 test samples of `walker`" in text
    assert "| this student | 0.900 | 0.800 | 0.700 | 0.600 | 0.500 |" in text
    assert "| labels alone | 0.410 | 0.420 | 0.430 | 0.440 | 0.450 |" in text
    assert "Not tested on any domain but `walker`" in text
    assert "simulated" not in text
    spent = cost(finished.deployed.student, finished.deployed.view)
    for number in (spent.parameters, spent.macs, spent.size_bytes):
        assert f"| {number:,} |" in text


def test_the_licence_is_left_to_whoever_publishes(finished):
    text = model_card(finished, RESULT, VERDICTS)
    assert "license" not in front_matter(text)
    assert "# license: for you to choose" in text


def test_simulated_data_are_called_so(finished):
    assert "The data are simulated" in model_card(finished, {**RESULT, "is_demo": True}, VERDICTS)


def test_it_claims_nothing_that_was_not_measured(finished):
    untested = finished.card.model_copy(update={"accuracy": None})
    finished = type(finished)(finished.deployed, untested, finished.recording)
    text = model_card(finished, {**RESULT, **dict.fromkeys(SCORES), "labels_only": None, "test_samples": 0}, {})
    assert "No sample was held out" in text
    assert "Not tested on anything" in text
    assert "It learned from the labels alone" in text
    assert "this student" not in text


def test_a_student_of_somebodys_own_trainer_has_its_card_alone(finished):
    text = model_card(finished, {}, {})
    assert front_matter(text)["tags"] == ["hatlit", "imu"]
    assert f"Accuracy {finished.card.accuracy:.3f} on the test part" in text
    assert "seed" not in text


def test_texts_are_strings(text_run):
    assert "as its device records them: N strings." in model_card(read_student(text_run), {}, {})


@pytest.mark.parametrize("text", [HOSTILE, "`", "``", " ", "", "\n", "|"])
def test_whatever_a_name_holds_it_stays_in_its_code_span(text):
    span = code(text)
    fence = re.match("`+", span).group()
    assert span.endswith(fence)
    inside = span[len(fence) : -len(fence)]
    assert fence not in re.findall("`+", inside)
    assert inside and inside.isprintable()
    assert not re.search(r"(?<!\\)\|", inside)


def test_names_of_strangers_change_nothing_but_themselves(finished):
    card = finished.card
    strange = card.model_copy(
        update={"domain": HOSTILE, "dataset": "x\ntags: [evil]", "class_names": (HOSTILE, *card.class_names[1:])}
    )
    text = model_card(type(finished)(finished.deployed, strange, finished.recording), RESULT, VERDICTS)
    assert front_matter(text)["datasets"] == ["x\ntags: [evil]"]
    assert front_matter(text)["tags"] == ["hatlit", "imu", "hat"]
    plain = model_card(finished, RESULT, VERDICTS)
    skeleton = [re.match(r"#*\|? ?", line).group() for line in text.split("---\n")[-1].splitlines()]
    assert skeleton == [re.match(r"#*\|? ?", line).group() for line in plain.split("---\n")[-1].splitlines()]


def test_thousands_of_classes_are_counted(finished):
    many = finished.card.model_copy(update={"class_names": tuple(f"class-{n}" for n in range(4096))})
    text = model_card(type(finished)(finished.deployed, many, finished.recording), RESULT, VERDICTS)
    assert "`class-99`, and 3,996 more." in text


def test_it_lies_beside_the_student_and_travels_with_it(run, tmp_path):
    folder = hatlit.load(run).save(tmp_path / "student")
    (folder / "result.json").write_text(json.dumps({**RESULT, "sources": [], "bytes": None, "seconds": {"total": 1.0}}))
    write_model_card(folder, RESULT, VERDICTS)
    copy = hatlit.load(folder).save(tmp_path / "copy")
    assert (copy / "README.md").read_text() == (folder / "README.md").read_text()
