"""Every component has a page, an example that uses it and is right, and a place in the index."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from worker.cli.check import examine
from worker.components import AUTH, FORMATS, KINDS, PAGINATIONS, SINKS, SOURCES, STATE, TRANSFORMS

ROOT = Path(__file__).parents[2]
DOCS, CONFIGS = ROOT / "docs", ROOT / "configs"
WORDS = {
    AUTH: "auth",
    PAGINATIONS: "pagination",
    SINKS: "sink",
    SOURCES: "source",
    STATE: "state",
    TRANSFORMS: "transform",
}
"""What pages and examples of a kind begin with; a format has them for each direction."""
COMPONENTS = [
    *((word, name) for kind, word in WORDS.items() for name in kind.built_in),
    *(("decode", name) for name in FORMATS.built_in if hasattr(FORMATS.load(name), "Decode")),
    *(("format", name) for name in FORMATS.built_in if hasattr(FORMATS.load(name), "CODECS")),
]


def test_every_kind_has_pages() -> None:
    assert {*WORDS, FORMATS} == set(KINDS)


def uses(kind: str, name: str, config: dict[str, Any]) -> bool:
    """Whether a config of one pipeline has a component."""
    items = config["pipelines"]["items"]
    match kind:
        case "pagination" | "auth":
            return bool(items["source"][kind]["type"] == name)
        case "transform":
            return any(name in step for step in items["transforms"])
        case "format":
            return bool(items["sink"]["format"] == name)
        case "state":
            return bool(config["state"]["type"] == name)
        case _:
            return bool(items[kind]["type"] == name)


@pytest.mark.parametrize(("kind", "name"), COMPONENTS)
def test_a_component_has_a_page_and_an_example_that_uses_it(kind: str, name: str) -> None:
    page, example = (
        DOCS / "reference" / "components" / f"{kind}-{name}.md",
        CONFIGS / "components" / f"{kind}-{name}.yaml",
    )
    assert page.exists(), f"write docs/reference/components/{page.name}"
    assert example.exists(), f"write configs/components/{example.name}"
    assert f"```yaml\n{example.read_text()}```" in page.read_text(), (
        "the page shows another example"
    )
    assert uses(kind, name, YAML(typ="safe").load(example.read_text()))


@pytest.mark.parametrize(("kind", "name"), COMPONENTS)
def test_a_component_is_in_the_index(kind: str, name: str) -> None:
    assert f"(reference/components/{kind}-{name}.md)" in (DOCS / "index.md").read_text()


def test_no_page_and_no_example_is_of_a_component_that_is_gone() -> None:
    named = {f"{kind}-{name}" for kind, name in COMPONENTS}
    assert {path.stem for path in (DOCS / "reference" / "components").glob("*.md")} == named
    assert {path.stem for path in (CONFIGS / "components").glob("*.yaml")} == named


@pytest.mark.parametrize("path", sorted(CONFIGS.rglob("*.yaml")), ids=lambda path: path.stem)
def test_an_example_is_right(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _prepare(path.read_text(), tmp_path, monkeypatch)
    monkeypatch.syspath_prepend(str(path.parent))
    problems, promises = examine([path])
    assert not problems
    assert {each["delivery"] for each in promises} == {"exactly_once"}


def _whole_configs() -> list[tuple[str, str]]:
    """(page, YAML block) of every whole config; examples of components are files, and
    avro-sources.md has a test of its own.
    """
    pages = [
        page
        for page in sorted(DOCS.rglob("*.md"))
        if page.parent.name != "components" and page.name != "avro-sources.md"
    ]
    found = [
        (page.name, block)
        for page in pages
        for block in re.findall(r"^```yaml[^\n]*\n(.*?)^```", page.read_text(), re.S | re.M)
    ]
    return [(page, block) for page, block in found if block.startswith("version:")]


@pytest.mark.parametrize(("page", "block"), _whole_configs())
def test_a_config_in_a_page_is_right(
    page: str, block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _prepare(block, tmp_path, monkeypatch)
    texts = [each.read_text() for each in DOCS.rglob(page)]
    schemas = dict(
        re.findall(r"<!-- file: (\S+\.avsc) -->\n```json\n(.*?)```", "".join(texts), re.S)
    )
    for name, text in schemas.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "config.yaml").write_text(block)
    assert not examine([tmp_path / "config.yaml"])[0]


def _prepare(text: str, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A working directory of its own, and the secrets that a config names."""
    for name in re.findall(r"env: (\w+)", text):
        monkeypatch.setenv(name, "secret")
    monkeypatch.chdir(directory)
