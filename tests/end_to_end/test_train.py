import json
import os

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file

from hatlit.zoo.store import Zoo

#: For runs whose picture nobody looks at.
undrawn = pytest.mark.usefixtures("without_pictures")


@pytest.mark.parametrize("method", ["hat", "hat_paper", "best_source", "labels_only"])
def test_a_run_ends_with_a_table_and_the_same_numbers_in_its_folder(train, method):
    code, output, errors, folder = train("--method", method, "--target", "person-2")
    assert (code, errors) == (0, "")
    result = json.loads((folder / "result.json").read_text())
    assert result["method"] == method
    assert result["target"] == "person-2"
    assert result["labels"] == 3
    for score in ("accuracy", "balanced_accuracy", "macro_f1"):
        assert 0 <= result[score] <= 1
    assert f"{result['accuracy']:.3f}" in output.split("macro F1")[-1]
    assert ("labels_only" in output.split("macro F1")[-1]) is True
    assert (result["labels_only"] is None) is (method == "labels_only")
    assert (result["bytes"] is None) is (method == "labels_only")
    seconds = result["seconds"]
    parts = [name.split(", ")[1] for name in seconds if name.startswith("hat") and "preparation" in name]
    whole = ["experts", "adaptation", "sources asked", "consensus", "the rest"]
    assert parts == (whole if method.startswith("hat") else [])
    assert sum(seconds.values()) == pytest.approx(2 * seconds["total"], abs=0.1)
    for name in ("config.yaml", "metrics.csv", "report.html", "report.png", "done", "checkpoints/last.ckpt"):
        assert (folder / name).is_file(), name
    assert yaml.safe_load((folder / "config.yaml").read_text())["target"] == "person-2"
    assert len((folder / "metrics.csv").read_text().splitlines()) == 1 + 4


@undrawn
def test_selection_accounts_for_every_source_and_every_byte(train):
    _, _, _, folder = train("--target", "person-0", "--num_sources", "2", "--selection.keep", "0.5")
    selection = json.loads((folder / "selection.json").read_text())
    others = [source for source in selection["sources"] if source["domain"] != "person-0"]
    assert [source["selected"] for source in others] == [True, True, False]
    dropped = others[2]
    assert dropped["reason"].startswith("dropped by the coarse stage")
    assert dropped["fine_score"] is None
    assert dropped["coarse_score"] is not None
    traffic = selection["traffic"]
    assert traffic["stages"]["coarse"]["up"] == 2 * 400 * 4
    models = sum(source["size_bytes"] for source in others if source["selected"])
    assert models < traffic["stages"]["fine"]["down"] < models + 10_000
    assert traffic["everything"] == sum(source["size_bytes"] for source in others)


@undrawn
def test_outputs_are_kept_as_asked_and_only_what_changes_them_changes_the_run(train, session_cache):
    folders = [train("--cache.dtype", "float16", "--cache.map_above", limit)[3] for limit in ("0", "256")]
    assert folders[0] == folders[1] != train("--cache.dtype", "float32")[3]
    kept = {load_file(file)["features"].dtype for file in (session_cache / "outputs").iterdir()}
    assert kept == {torch.float16, torch.float32}


@undrawn
def test_the_target_never_teaches_itself(hatlit, train, tmp_path, arrays):
    zoo = tmp_path / "zoo"
    build = ["zoo", "build", "--out", zoo, "--data.name", "arrays", "--data.root", arrays]
    assert hatlit(*build, "--sources.encoders", "cnn_nano", "--sources.max_epochs", 2, "--jobs", 1)[0] == 0
    _, _, _, folder = train("--zoo", zoo, "--target", "person-1")
    by_id = {source["id"]: source for source in json.loads((folder / "selection.json").read_text())["sources"]}
    assert by_id["person-1"]["reason"] == "dropped: trained on the target itself"
    assert sum(source["selected"] for source in by_id.values()) == 3


@undrawn
def test_a_zoo_that_changed_makes_another_run(hatlit, train, tmp_path, arrays):
    zoo = tmp_path / "zoo"
    build = ["zoo", "build", "--out", zoo, "--data.name", "arrays", "--data.root", arrays, "--jobs", 1]
    few = [*build, "--sources.encoders", "cnn_nano", "--sources.max_epochs", 1]
    assert hatlit(*few, "--leave_out", "person-0,person-1")[0] == 0
    first = train("--zoo", zoo, "--target", "person-1")
    assert hatlit(*few, "--leave_out", "person-1")[0] == 0
    second = train("--zoo", zoo, "--target", "person-1")
    assert first[3] != second[3]
    assert "done already" not in second[1]


@undrawn
def test_same_seed_same_result_twice(train, tmp_path):
    folders = [train("--target", "person-1", out=tmp_path / name)[3] for name in ("first", "second")]
    results = [json.loads((folder / "result.json").read_text()) for folder in folders]
    for result in results:
        del result["seconds"], result["peak_memory_bytes"]
    assert results[0] == results[1]
    students = [next((folder / "student").rglob("model.safetensors")).read_bytes() for folder in folders]
    assert students[0] == students[1]


@undrawn
def test_another_seed_is_another_run_with_other_labels(train):
    first, second = (train("--target", "person-1", "--seed", seed)[3] for seed in (0, 1))
    assert first != second
    prints = [json.loads((folder / "result.json").read_text())["labels_fingerprint"] for folder in (first, second)]
    assert prints[0] != prints[1]


@undrawn
def test_every_method_gets_the_same_labels(train):
    prints = {
        json.loads((train("--method", method)[3] / "result.json").read_text())["labels_fingerprint"]
        for method in ("hat", "labels_only", "best_source")
    }
    assert len(prints) == 1


@undrawn
def test_the_same_command_again_shows_the_result_without_training(train):
    first = train("--method", "labels_only")
    again = train("--method", "labels_only")
    assert "done already" in again[1]
    assert "training sources" not in again[1]
    assert first[1].splitlines()[-1] == again[1].splitlines()[-1]
    assert first[1].splitlines()[-2] == again[1].splitlines()[-2]


@undrawn
def test_where_nothing_can_be_written_a_run_that_is_done_is_shown_and_no_other_begins(train, monkeypatch):
    code, *_ = train("--target", "person-1")
    assert code == 0
    allowed = os.access
    monkeypatch.setattr("os.access", lambda path, mode: not mode & os.W_OK and allowed(path, mode))
    code, output, errors, _ = train("--target", "person-1")
    assert (code, errors) == (0, "")
    assert "done already" in output
    code, output, errors, _ = train("--target", "person-2")
    assert code == 2
    assert "cannot be written (Permission denied); choose another --out." in errors
    assert "sources selected" not in output


@undrawn
def test_the_student_is_ready_to_join_a_zoo(train):
    _, _, _, folder = train("--target", "person-3")
    student = Zoo.open(folder / "student", modality="imu")
    card = student.card("person-3")
    result = json.loads((folder / "result.json").read_text())
    assert card.accuracy == pytest.approx(result["accuracy"], abs=1e-6)
    assert (card.training.labels, card.training.max_epochs) == (3, 4)
    model = student.load("person-3")
    assert sum(p.numel() for p in model.parameters()) == result["student"]["parameters"]
    assert set(load_file(folder / "student/sources/person-3/model.safetensors")) == set(model.state_dict())


@undrawn
def test_options_come_from_a_file_and_the_command_line_wins(train, tmp_path):
    file = tmp_path / "options.yaml"
    file.write_text("target: person-2\nnum_sources: 2\nhat:\n  mixer:\n    dim: 16\n")
    _, _, _, folder = train("--config", file, "--num_sources", "1")
    saved = yaml.safe_load((folder / "config.yaml").read_text())
    assert (saved["target"], saved["num_sources"], saved["hat"]["mixer"]["dim"]) == ("person-2", 1, 16)


@undrawn
def test_a_saved_config_reproduces_its_run(train, hatlit, tmp_path):
    _, _, _, folder = train("--target", "person-1")
    code, output, _ = hatlit("train", "--config", folder / "config.yaml")
    assert code == 0
    assert "done already" in output


@undrawn
def test_all_options_of_the_optimisers_work_together(train):
    code, _, errors, _ = train(
        *"--optimizer.clip_norm 0.5 --optimizer.accumulate 2 --optimizer.schedule constant".split(),
        *"--hat.mixer.train_heads true --hat.dictionary.when step --hat.injection.schedule above_chance".split(),
        *"--labels.fraction 0.2 --adapt.part last_block --adapt.pull 0.1".split(),
        *"--trainer.augment true --trainer.precision bf16-mixed".split(),
    )
    assert (code, errors) == (0, "")


@undrawn
def test_data_without_a_rate_and_all_of_it_labelled(train, arrays, tmp_path):
    with np.load(arrays) as file:
        content = {name: file[name] for name in file.files if name != "sample_rate"}
    np.savez(tmp_path / "timeless.npz", **content)
    code, output, errors, _ = train("--labels.fraction", "1", data=tmp_path / "timeless.npz")
    assert (code, errors) == (0, "")
    assert "42 training samples, 42 of them labelled" in output


@undrawn
def test_fewer_sources_than_usual_are_all_asked_with_a_line_saying_so(train):
    _, output, _, _ = train("--target", "person-0")
    assert "The zoo can offer 3 sources, so all of them are asked." in output


@undrawn
def test_checkpoints_load_without_unpickling_code(train):
    _, _, _, folder = train("--target", "person-0")
    state = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    assert state["epoch"] == 3
    assert len(state["optimizer_states"]) == 2
    assert len(state["lr_schedulers"]) == 2
    assert "dictionary.entries" in state["state_dict"]


def test_without_a_single_label_the_sources_have_to_do(train):
    code, output, errors, folder = train("--labels.per_class", "0", "--target", "person-1")
    assert (code, errors) == (0, "")
    result = json.loads((folder / "result.json").read_text())
    assert (result["labels"], result["labels_only"]) == (0, None)
    assert 0 <= result["accuracy"] <= 1
    assert "own-expert-0" not in result["weighed"]
    assert "| labels | 0 |" in (folder / "student" / "README.md").read_text()
    assert "judged by 'mutual_information_agreement'" in output
