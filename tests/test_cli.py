"""What the command line answers, with which exit code, and that asking for help loads nothing heavy."""

import io
import os
import subprocess
import sys
from importlib.metadata import version

import pytest
from rich.console import Console

import hatlit.cli
from hatlit.cli import COMMANDS, main
from hatlit.datamodules.base import DATASETS
from hatlit.encoders.base import ENCODERS, FAMILIES
from hatlit.errors import InputError
from hatlit.experiments.display import Display
from hatlit.experiments.listings import list_data, list_encoders, list_methods
from hatlit.experiments.study import STUDIES
from hatlit.methods.base import METHODS


@pytest.fixture
def hatlit_says(capsys):
    """Runs a command line; returns exit code, standard output and standard error."""

    def run(*words):
        code = main(list(words))
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.mark.parametrize("words", [["--help"], ["-h"], ["zoo", "--help"]])
def test_help_names_every_command(hatlit_says, words):
    code, output, errors = hatlit_says(*words)
    assert (code, errors) == (0, "")
    for command in COMMANDS:
        assert f"  {command} " in output


def test_no_command_at_all_shows_the_help_as_a_mistake(hatlit_says):
    code, output, _ = hatlit_says()
    assert code == 2
    assert output.startswith("usage: hatlit COMMAND")


def test_version(hatlit_says):
    assert hatlit_says("--version") == (0, f"hatlit {version('hatlit')}\n", "")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(hatlit_says, command):
    code, output, errors = hatlit_says(*command.split(), "--help")
    assert (code, errors) == (0, "")
    assert output.startswith(f"usage: hatlit {command}")


def test_help_says_what_each_study_asks(hatlit_says):
    code, output, _ = hatlit_says("study", "--help")
    assert code == 0
    listed = dict(line.split(maxsplit=1) for line in output.splitlines() if line.startswith("  "))
    assert list(listed) == sorted(STUDIES.names())
    assert listed["labels"] == "How many labels it takes."
    for name, about in listed.items():
        assert about.endswith("."), name
        code, shown, _ = hatlit_says("study", name, "--help")
        assert code == 0
        assert about in " ".join(shown.split())


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["trian"], "Unknown command 'trian': did you mean train?"),
        (["zoo"], "Unknown command 'zoo'"),
        (["zoo", "biuld"], "did you mean zoo build"),
        (["data", "spar"], "'spar' stands alone on the command line; options begin with --."),
        (["zoo", "list"], "'hatlit zoo list' wants DIR, not: nothing."),
        (["zoo", "list", "a", "b"], "'hatlit zoo list' wants DIR, not: a b."),
        (["zoo", "show", "a"], "'hatlit zoo show' wants DIR ID, not: a."),
        (["zoo", "add", "--encoder", "cnn_nano"], "'hatlit zoo add' wants DIR"),
        (["zoo", "build", "--out", "zoo", "--jobs", "-1"], "--jobs must be at least 0, not -1."),
        (["zoo", "add", "zoo", "nowhere"], "'nowhere' is not the folder of a finished run: it has no student."),
        (["zoo", "add", "zoo", "run", "--domain", "a"], "Unknown option 'domain'"),
        (["expand", "--rounds", "0"], "--rounds must be at least 1, not 0."),
        (["expand", "--initial", ""], "--initial names no domain"),
        (["expand", "--ray.cpus", "0"], "--ray.cpus must be above 0, not 0"),
        (["expand", "--trainer.devices", "2"], "--trainer.devices and --trainer.num_nodes must stay 1"),
        (["expand", "--trainer.num_nodes", "2"], "--trainer.devices and --trainer.num_nodes must stay 1"),
        (["expand", "--sources.modality", "depth"], "Students of imu samples cannot become sources of depth samples"),
        (["export"], "'hatlit export' wants RUN, not: nothing."),
        (["export", "run", "--to", "safetensors", "--quantize", "int8"], "makes onnx files, not safetensors"),
        (["export", "run", "--to", "safetensors", "--batch", "4"], "--batch says how a graph is called"),
        (["export", "run", "--batch", "0"], "--batch must be at least 1, not 0."),
        (["export", "nowhere"], "'nowhere' has no student"),
        (["predict", "run"], "'hatlit predict' wants RUN INPUT ..., not: run."),
        (["predict", "run", "a.csv", "--rate", "0"], "--rate must be above 0, not 0"),
        (["predict", "nowhere", "a.csv"], "There is no 'nowhere'"),
        (["train", "--num_source", "3"], "Unknown option 'num_source'"),
    ],
)
def test_bad_input_is_one_line_and_two(hatlit_says, words, says):
    code, output, errors = hatlit_says(*words)
    assert (code, output) == (2, "")
    assert errors.startswith("hatlit: ")
    assert says in errors
    assert errors.count("\n") == 1


def raising(error):
    def command(words):
        raise error

    return command


def test_an_input_error_is_one_line_and_two(hatlit_says, monkeypatch):
    monkeypatch.setitem(COMMANDS, "train", raising(InputError("The data are not there; put them there.")))
    assert hatlit_says("train") == (2, "", "hatlit: The data are not there; put them there.\n")


def test_an_interruption_says_how_to_go_on(hatlit_says, monkeypatch):
    monkeypatch.setitem(COMMANDS, "train", raising(KeyboardInterrupt()))
    code, _, errors = hatlit_says("train")
    assert code == 130
    assert "the same command goes on" in errors
    assert errors.count("\n") == 1


def test_our_own_faults_keep_their_traceback(monkeypatch):
    monkeypatch.setitem(COMMANDS, "train", raising(ZeroDivisionError("a fault of ours")))
    with pytest.raises(ZeroDivisionError, match="a fault of ours"):
        main(["train"])


def python(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)


def test_our_own_faults_exit_with_one():
    finished = python(
        "import sys, hatlit.cli as cli\n"
        "cli.COMMANDS['train'] = lambda words: 1 / 0\n"
        "sys.argv = ['hatlit', 'train']\n"
        "sys.exit(cli.main())"
    )
    assert finished.returncode == 1
    assert "Traceback" in finished.stderr
    assert "ZeroDivisionError" in finished.stderr


def test_a_reader_that_has_seen_enough_is_no_fault():
    command = [sys.executable, "-m", "hatlit", "--help"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.close()
    assert b"Traceback" not in process.stderr.read()
    process.stderr.close()
    assert process.wait(60) == 0


def test_help_loads_nothing_heavy():
    heavy = ("torch", "lightning", "torchaudio", "matplotlib", "wandb", "timm", "transformers", "numpy", "pydantic")
    finished = python(
        "import contextlib, io, sys\n"
        "from hatlit.cli import COMMANDS, main\n"
        "for command in ['', *COMMANDS]:\n"
        "    with contextlib.redirect_stdout(io.StringIO()):\n"
        "        assert main([*command.split(), '--help']) == 0\n"
        f"    loaded = [name for name in {heavy} if name in sys.modules]\n"
        "    assert not loaded, (command, loaded)\n"
    )
    assert finished.returncode == 0, finished.stderr


def test_the_package_loads_nothing_heavy_before_it_is_asked_to_load_a_student():
    finished = python(
        "import sys, hatlit\n"
        "assert not {'torch', 'numpy', 'pydantic'} & set(sys.modules)\n"
        "assert callable(hatlit.load) and 'torch' in sys.modules\n"
        "assert not {'lightning', 'onnxruntime'} & set(sys.modules)\n"
        "assert not hasattr(hatlit, 'lode')\n"
    )
    assert finished.returncode == 0, finished.stderr


@pytest.mark.slow
def test_listings_do_not_wait_for_lightning():
    finished = python(
        "import sys\n"
        "from hatlit.cli import main\n"
        "for command in ('data', 'encoders', 'zoo list nowhere'):\n"
        "    main(command.split())\n"
        "heavy = ('lightning', 'torchmetrics', 'torchvision', 'matplotlib')\n"
        "loaded = [name for name in heavy if name in sys.modules]\n"
        "assert not loaded, loaded\n"
    )
    assert finished.returncode == 0, finished.stderr


def test_refusing_an_option_loads_nothing_heavy():
    finished = python(
        "import sys\n"
        "from hatlit.cli import main\n"
        "assert main(['train', '--num_source', '3']) == 2\n"
        "assert 'torch' not in sys.modules\n"
    )
    assert finished.returncode == 0, finished.stderr


def test_the_module_runs_as_the_command_does():
    finished = subprocess.run(
        [sys.executable, "-m", "hatlit", "--version"], capture_output=True, text=True, timeout=60, env={**os.environ}
    )
    assert (finished.returncode, finished.stdout) == (0, f"hatlit {version('hatlit')}\n")


@pytest.mark.parametrize(("command", "registry"), [("data", DATASETS), ("encoders", ENCODERS), ("methods", METHODS)])
def test_listings_name_what_is_registered(hatlit_says, command, registry):
    code, output, errors = hatlit_says(command)
    assert (code, errors) == (0, "")
    assert registry.names()
    for name in registry.names():
        assert name in output


@pytest.fixture
def spoken():
    """A display that is wide enough to break no line, and the function that tells what it has shown."""
    stream = io.StringIO()
    return Display(Console(file=stream, width=4000)), stream.getvalue


def test_data_sets_are_listed_with_licence_and_citation(spoken):
    display, shown = spoken
    list_data(display)
    cells = [[cell.strip() for cell in line.split("│")[1:-1]] for line in body(shown())]
    assert [(name, modality) for name, modality, *_ in cells] == [(one.name, one.modality or "any") for one in DATASETS]
    rows = {name: rest for name, *rest in cells}
    for name, (modality, summary, licence, citation, download) in rows.items():
        assert download in ("yes", "-")
        assert modality
        assert len(summary) > 10, name
        assert len(licence) > 3, f"{name} names no licence"
        assert len(citation) > 5, f"{name} names no citation"
    assert rows["arrays"][0] == "any"
    assert (rows["demo"][-1], rows["spar"][-1]) == ("-", "yes")
    assert "Bruno" in rows["hmp"][3] and "2013" in rows["hmp"][3], "a citation over several lines is whole"
    assert "root:" not in rows["hmp"][3], "and ends where the next section begins"


@pytest.mark.parametrize(("show", "registry"), [(list_encoders, ENCODERS), (list_methods, METHODS)])
def test_everything_listed_says_what_it_is(spoken, show, registry):
    display, shown = spoken
    show(display)
    lines = body(shown())
    families = [f"{one.name}:NAME" for one in FAMILIES] if registry is ENCODERS else []
    assert [line.split("│")[1].strip() for line in lines] == [*registry.names(), *families]
    for line in lines:
        assert len(line.split("│")[-2].strip()) > 10, line


def body(table):
    return [line for line in table.splitlines() if line.startswith("│")]


def test_commands_and_usage_agree():
    listed = [line[2:19].strip() for line in hatlit.cli.USAGE.splitlines() if line.startswith("  ")]
    assert [line.removesuffix(" ID").removesuffix(" DIR") for line in listed] == list(COMMANDS)
