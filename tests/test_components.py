"""The tables of components: what stands in them loads, and packages from outside join them with
precise errors.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from kit import install
from pydantic import ValidationError
from test_settings import pipeline

from worker import components
from worker.cli.check import examine
from worker.components import KINDS, PAGINATIONS, TRANSFORMS, Kind
from worker.core.errors import ConfigError

STYLE = """
from typing import Literal
from worker.sources.pagination.common import StyleConfig

class Config(StyleConfig):
    '''Pages of letters.'''
    type: Literal["letters"]

def build(config):
    raise NotImplementedError
"""


Install = Callable[[str, dict[str, str], dict[str, str]], None]


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Puts a distribution on sys.path: its name, its modules, its entry points."""
    mine: set[str] = set()

    def put(name: str, modules: dict[str, str], entry_points: dict[str, str]) -> None:
        mine.update(modules)
        monkeypatch.syspath_prepend(install(tmp_path / name, name, modules, entry_points))

    yield put
    for module in mine:
        sys.modules.pop(module, None)


@pytest.mark.parametrize(
    ("kind", "name"),
    [(kind, name) for kind in KINDS for name in kind.built_in],
    ids=lambda value: value.what if isinstance(value, Kind) else value,
)
def test_a_component_has_the_parts_of_its_kind(kind: Kind, name: str) -> None:
    module = kind.load(name)
    assert any(all(hasattr(module, part) for part in parts) for parts in kind.parts)


def test_an_unknown_name_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(ConfigError, match="unknown pagination type 'curser'") as raised:
        PAGINATIONS.load("curser")
    assert "link_header" in raised.value.remedy


def test_a_built_in_component_is_found_without_looking_for_packages(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(components, "_entry_points", lambda *_: pytest.fail("looked"))
    assert pipeline(pagination={"type": "page", "param": "p"}).source.pagination.type == "page"
    with pytest.raises(pytest.fail.Exception, match="looked"):
        PAGINATIONS.load("letters")


def test_a_component_of_a_package_joins_its_table(installed: Install) -> None:
    installed("worker-letters", {"letters": STYLE}, {"worker.paginations: letters": "letters"})
    assert PAGINATIONS.names()[-1] == "letters"
    assert pipeline(pagination={"type": "letters"}).source.pagination.type == "letters"
    with pytest.raises(ValidationError):
        pipeline(pagination={"type": "letters", "of": "greek"})


def refused(directory: Path, pagination: str) -> str:
    """The one problem of a config with this pagination."""
    (directory / "item.avsc").write_text('{"type": "record", "name": "I", "fields": []}')
    config = directory / "a.yaml"
    source = f"{{url: 'http://127.0.0.1:1', pagination: {{type: {pagination}}}}}"
    config.write_text(
        f"version: 1\nstate: {{path: {directory / 'state'}}}\npipelines:\n"
        f"  a: {{source: {source}, schema: item.avsc, sink: {{path: {directory / 'lake'}}}}}\n"
    )
    [problem] = examine([config])[0]
    assert problem.place.key == "pipelines.a.source.pagination.type"
    return str(problem)


def test_a_package_that_cannot_be_imported_is_named_with_its_error(
    tmp_path: Path, installed: Install
) -> None:
    broken = {"letters": "import no_such_module"}
    installed("worker-letters", broken, {"worker.paginations: letters": "letters"})
    said = refused(tmp_path, "letters")
    assert "worker.paginations: letters = letters of the package worker-letters" in said
    assert "ModuleNotFoundError: No module named 'no_such_module'" in said


def test_a_package_that_is_no_component_is_told_what_it_lacks(
    tmp_path: Path, installed: Install
) -> None:
    installed("worker-letters", {"letters": "x = 1"}, {"worker.paginations: letters": "letters"})
    assert "is no pagination type: it needs Config and build" in refused(tmp_path, "letters")


def test_a_config_that_is_none_of_its_kind_is_refused(tmp_path: Path, installed: Install) -> None:
    other = STYLE.replace("(StyleConfig)", "(Model)").replace(
        "class Config", "from worker.config.model import Model\n\nclass Config"
    )
    installed("worker-letters", {"letters": other}, {"worker.paginations: letters": "letters"})
    said = refused(tmp_path, "letters")
    assert "Config of the pagination type 'letters' is no StyleConfig" in said
    assert "worker.sources.pagination.common.StyleConfig" in said


def test_a_type_that_is_unknown_is_said_also_beside_a_broken_package(
    tmp_path: Path, installed: Install
) -> None:
    broken = {"letters": "import no_such_module"}
    installed("worker-letters", broken, {"worker.paginations: letters": "letters"})
    assert "did you mean 'letters'?" in refused(tmp_path, "leters")


def test_a_package_cannot_take_the_name_of_a_built_in_component(
    tmp_path: Path, installed: Install
) -> None:
    installed("worker-letters", {"letters": STYLE}, {"worker.paginations: cursor": "letters"})
    assert pipeline(pagination={"type": "none"}).source.pagination.type == "none"
    with pytest.raises(ConfigError, match="has the name of a built-in pagination type") as raised:
        PAGINATIONS.names()
    assert "worker-letters" in raised.value.message and "uninstall" in raised.value.remedy
    assert "built-in" in refused(tmp_path, "letters")


def test_two_packages_cannot_have_one_name(installed: Install) -> None:
    for name in ("worker-one", "worker-two"):
        installed(name, {}, {"worker.transforms: initials": "initials"})
    with pytest.raises(ConfigError, match="has the same name as") as raised:
        TRANSFORMS.load("initials")
    assert "worker-one" in raised.value.message and "worker-two" in raised.value.message


def test_what_a_config_can_say_imports_nothing_heavy() -> None:
    """Neither `check` nor the completion of an editor wait for what only a run needs."""
    probe = """
import sys
from worker.config.json_schema import config_schema
from worker.settings import Settings
config_schema(Settings)
print({"aiohttp", "aiofiles", "fastavro", "prometheus_client", "structlog", "tenacity"} & set(sys.modules) or "")
"""
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
