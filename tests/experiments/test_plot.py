from hatlit.cli import main


def test_a_picture_is_written_and_named(tmp_path, capsys):
    file = tmp_path / "deep" / "samples.png"
    assert main(["data", "plot", "--modality", "imu", "--domains", "2", "--out", str(file)]) == 0
    assert file.read_bytes().startswith(b"\x89PNG")
    assert f"wrote {file}: demo-01, demo-24 of demo" in capsys.readouterr().out


def test_bad_options_are_refused(tmp_path, capsys):
    assert main(["data", "plot", "--domains", "0"]) == 2
    assert "--domains must be at least 1" in capsys.readouterr().err
