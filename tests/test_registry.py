"""Registries: names, modalities, discovery at home and in other packages, and the user's own files."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from hatlit import registry as registry_module
from hatlit.errors import InputError
from hatlit.registry import Registry, load_plugin

Thing = Callable[[], str]

# A module that registers nothing stands for the home package, except where discovery is the matter.
EMPTY_HOME = "hatlit.errors"


@pytest.fixture
def things() -> Registry[Thing]:
    return Registry("thing", home=EMPTY_HOME)


def make(answer: str) -> Thing:
    def thing() -> str:
        return answer

    return thing


def other() -> str:
    return "other"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An importable folder; what was imported from it is forgotten after the test."""
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[name]


class TestNames:
    def test_a_function_under_its_own_name(self, things: Registry[Thing]) -> None:
        @things.register()
        def first() -> str:
            """Says first.

            More of it.
            """
            return "first"

        assert things.get("first") is first
        assert [entry.summary for entry in things] == ["Says first."]

    def test_a_class_in_snake_case(self, things: Registry) -> None:
        @things.register()
        class BestSourceOfAll:
            pass

        assert things.names() == ["best_source_of_all"]
        assert things.entries()[0].summary == ""

    def test_order_of_registration_is_kept(self, things: Registry[Thing]) -> None:
        for name in ("zulu", "alpha", "mike"):
            things.add(name, make(name))
        assert things.names() == ["zulu", "alpha", "mike"]

    def test_a_clash_names_both_sides(self, things: Registry[Thing]) -> None:
        things.add("one", make("mine"), "imu")
        with pytest.raises(InputError) as caught:
            things.add("one", other, "imu")
        message = str(caught.value)
        assert message.startswith("The thing name 'one' of modality 'imu' is already taken by ")
        assert "make.<locals>.thing" in message
        assert message.endswith(f"give the one in {__name__}.other another name.")
        assert things.get("one", "imu")() == "mine"

    def test_the_same_object_twice_is_no_clash(self, things: Registry[Thing]) -> None:
        thing = make("same")
        things.add("one", thing)
        things.add("one", thing)
        assert things.names() == ["one"]

    def test_unknown_answers_with_the_nearest(self, things: Registry[Thing]) -> None:
        things.add("euclidean", make(""))
        things.add("cosine", make(""))
        with pytest.raises(InputError, match=r"^Unknown thing 'euclidian': did you mean euclidean\?$"):
            things.get("euclidian")


class TestModalities:
    @pytest.fixture
    def modal(self, things: Registry[Thing]) -> Registry[Thing]:
        things.add("cnn", make("imu cnn"), "imu")
        things.add("cnn", make("radar cnn"), "radar")
        things.add("vit", make("vit"), "image")
        things.add("linear", make("linear"))
        return things

    def test_a_name_is_looked_up_in_its_modality(self, modal: Registry[Thing]) -> None:
        assert modal.get("cnn", "imu")() == "imu cnn"
        assert modal.get("cnn", "radar")() == "radar cnn"

    def test_a_name_without_modality_serves_all(self, modal: Registry[Thing]) -> None:
        assert modal.get("linear")() == modal.get("linear", "image")() == "linear"

    def test_a_modality_goes_before_all(self, modal: Registry[Thing]) -> None:
        modal.add("linear", make("image linear"), "image")
        assert modal.get("linear", "image")() == "image linear"
        assert modal.get("linear", "imu")() == "linear"

    def test_names_of_one_modality(self, modal: Registry[Thing]) -> None:
        assert modal.names("imu") == ["cnn", "linear"]
        assert modal.names("text") == ["linear"]
        assert modal.names() == ["cnn", "cnn", "vit", "linear"]

    def test_a_name_of_another_modality_is_pointed_out(self, modal: Registry[Thing]) -> None:
        with pytest.raises(InputError, match=r"^Unknown imu thing 'vit': .*\('vit' belongs to modality image\.\)$"):
            modal.get("vit", "imu")
        with pytest.raises(InputError, match=r"\('cnn' belongs to modality imu, radar\.\)$"):
            modal.get("cnn", "image")


class TestDiscovery:
    def test_the_modules_of_the_home_package_register(self, folder: Path) -> None:
        home = folder / "little_home"
        home.mkdir()
        (home / "__init__.py").write_text(
            "from hatlit.registry import Registry\nTHINGS = Registry('thing', __name__)\n"
        )
        (home / "one.py").write_text("from little_home import THINGS\n\n@THINGS.register()\ndef one(): return 1\n")
        (home / "two.py").write_text("from little_home import THINGS\n\n@THINGS.register()\ndef two(): return 2\n")
        import little_home  # type: ignore[import-not-found]

        assert "little_home.one" not in sys.modules
        assert little_home.THINGS.names() == ["one", "two"]

    def test_entry_points_are_loaded_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        loaded: list[str] = []
        things: Registry[Thing] = Registry("thing", home=EMPTY_HOME, group="hatlit.things")

        def load() -> None:
            loaded.append("load")
            things.add("theirs", make("theirs"))

        def fake_entry_points(group: str) -> list[SimpleNamespace]:
            assert group == "hatlit.things"
            return [SimpleNamespace(load=load)]

        monkeypatch.setattr(registry_module, "entry_points", fake_entry_points)
        assert things.get("theirs")() == "theirs"
        assert things.names() == ["theirs"]
        assert loaded == ["load"]

    def test_registering_does_not_discover(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(registry_module, "entry_points", lambda group: pytest.fail("read too early"))
        Registry[Thing]("thing", home="no.such.package", group="hatlit.things").add("one", make(""))


class TestPlugin:
    @pytest.fixture
    def shared(self, things: Registry[Thing], monkeypatch: pytest.MonkeyPatch) -> Registry[Thing]:
        """A registry that the plugins below find as ``hatlit.registry.SHARED``."""
        monkeypatch.setattr(registry_module, "SHARED", things, raising=False)
        return things

    def write(self, folder: Path, body: str, name: str = "my_thing.py") -> Path:
        file = folder / name
        file.write_text(
            f"from hatlit.registry import SHARED\n\n@SHARED.register()\ndef mine(): return 'mine'\n{body}\n"
        )
        return file

    @pytest.mark.parametrize("kind", [str, Path])
    def test_a_good_one_registers(self, shared: Registry[Thing], folder: Path, kind: type) -> None:
        load_plugin(kind(self.write(folder, "")))
        assert shared.get("mine")() == "mine"

    def test_twice_is_once(self, shared: Registry[Thing], folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        load_plugin(self.write(folder, ""))
        monkeypatch.chdir(folder)
        load_plugin("my_thing.py")
        assert shared.names() == ["mine"]

    def test_its_dataclasses_work(self, shared: Registry[Thing], folder: Path) -> None:
        body = (
            "from __future__ import annotations\nfrom dataclasses import dataclass\n@dataclass\nclass A:\n    b: int\n"
        )
        file = folder / "with_dataclass.py"
        file.write_text(body)
        load_plugin(file)

    def test_a_clash_is_said_as_it_is(self, shared: Registry[Thing], folder: Path) -> None:
        shared.add("mine", make("first"))
        with pytest.raises(InputError, match=r"^The thing name 'mine' is already taken"):
            load_plugin(self.write(folder, ""))

    def test_it_may_be_the_first_to_import_what_is_built_in(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(registry_module, "SHARED", Registry("thing", home="house"), raising=False)
        (folder / "house").mkdir()
        (folder / "house" / "__init__.py").touch()
        (folder / "house" / "above.py").write_text("from house.below import LAST\n")
        (folder / "house" / "below.py").write_text(
            "from hatlit.registry import SHARED\n\n@SHARED.register()\ndef built_in(): ...\n\nLAST = 1\n"
        )
        file = self.write(folder, "")
        file.write_text(f"import house.below\n{file.read_text()}")
        load_plugin(file)
        assert registry_module.SHARED.names() == ["built_in", "mine"]  # type: ignore[attr-defined]

    @pytest.mark.parametrize("missing", ["nowhere.py", "."])
    def test_a_missing_one(self, folder: Path, missing: str) -> None:
        with pytest.raises(InputError, match="There is no plugin file"):
            load_plugin(folder / missing)

    def test_one_that_is_not_python(self, folder: Path) -> None:
        (folder / "notes.txt").write_text("hello")
        with pytest.raises(InputError, match=r"must end in \.py"):
            load_plugin(folder / "notes.txt")

    @pytest.mark.parametrize(
        ("body", "reason"),
        [
            ("def broken(:", "SyntaxError"),
            ("import no_such_package", "ModuleNotFoundError: No module named 'no_such_package'"),
            ("1 / 0", "ZeroDivisionError: division by zero"),
        ],
    )
    def test_a_broken_one(self, folder: Path, body: str, reason: str) -> None:
        file = folder / "broken.py"
        file.write_text(body)
        with pytest.raises(InputError, match=f"broken.py' could not be imported: {reason}"):
            load_plugin(file)
        file.write_text("")
        load_plugin(file)  # a mended one is imported afresh
