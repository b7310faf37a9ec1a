"""The pages are true: commands, paths, tables, links, and the quickstart as a new user would follow
it.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shlex
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from transforms.test_expression import outcome_of

from docs import reference
from worker.cli import cli
from worker.components import PAGINATIONS
from worker.core import delivery
from worker.schema import Limits
from worker.transforms.functions import FUNCTIONS

ROOT = Path(__file__).parents[2]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]


def table(page: str, name: str) -> list[list[str]]:
    """The cells of a table between two comments."""
    text = (ROOT / "docs" / page).read_text()
    rows = text.partition(f"<!-- {name} -->\n")[2].partition(f"<!-- /{name} -->")[0].splitlines()
    assert rows
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]] for row in rows]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
        if "://" not in link:
            assert (page.parent / link).exists(), link


_PATH = re.compile(
    r"(?<![\w./$:~-])((?:worker|tests|configs|deploy|docs)/[\w./-]*\w|[\w-]+/[\w/-]+\.py)\b"
)


def lost_paths(text: str, *roots: Path) -> list[str]:
    """Paths in a text that exist below none of the roots; those of a worked example need not."""
    examples = re.findall(r"<!-- file: (\S+\.py) -->", text)
    return [
        path
        for path in _PATH.findall(text)
        if not any((root / path).exists() for root in roots)
        and path not in examples
        and "KIND-NAME" not in path
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_path_that_a_page_names_exists(page: Path) -> None:
    assert lost_paths(page.read_text(), ROOT) == []


def test_every_path_that_a_comment_names_exists() -> None:
    modules = sorted((ROOT / "worker").rglob("*.py"))
    lost = {
        str(module): lost_paths(module.read_text(), ROOT, ROOT / "worker") for module in modules
    }
    assert {module: paths for module, paths in lost.items() if paths} == {}


@pytest.mark.parametrize("path", ["worker/gone.py", "runtime/gone.py", "docs/gone.md"])
def test_a_path_that_is_gone_is_found(path: str) -> None:
    assert lost_paths(f"See `{path}`, and `worker/pipeline.py`.", ROOT) == [path]


def test_every_package_says_what_is_in_it() -> None:
    packages = sorted((ROOT / "worker").rglob("__init__.py"))
    assert [str(each) for each in packages if not each.read_text().startswith('"""')] == []


def commands() -> list[tuple[str, str]]:
    """(page, a line of a shell block that calls worker)."""
    found = []
    for page in PAGES:
        for block in re.findall(r"```sh\n(.*?)```", page.read_text(), re.DOTALL):
            found += [
                (page.name, line) for line in block.splitlines() if line.startswith("worker ")
            ]
    return found


@pytest.mark.parametrize(("page", "line"), commands())
def test_commands_and_their_options_exist(page: str, line: str) -> None:
    words = shlex.split(line.partition("|")[0], comments=True)[1:]
    command: click.Command = cli
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        found = command.get_command(click.Context(command), words.pop(0))
        assert found is not None, line
        command = found
    options = {option for parameter in command.params for option in parameter.opts} | {
        "--help",
        "--version",
    }
    assert {word for word in words if word.startswith("-")} <= options


def test_all_pages_are_in_the_index() -> None:
    index = (ROOT / "docs" / "index.md").read_text()
    pages = [
        page.relative_to(ROOT / "docs")
        for page in PAGES
        if page.parent not in (ROOT, ROOT / "docs" / "decisions") and page.name != "index.md"
    ]
    assert [str(page) for page in pages if f"({page})" not in index] == []


def test_the_completeness_table_is_that_of_the_code() -> None:
    orders = (None, "ascending", "descending")

    def row(style: str) -> list[str]:
        config = PAGINATIONS.load(style).Config
        numbered = config.model_construct(type=style).numbered

        def best(order: str | None, *, total: bool, stable: bool = False) -> str:
            return delivery.completeness(
                config.completeness, order, total=total, numbered=numbered, stable=stable
            )

        without = (best(order, total=False) for order in orders)
        return [*without, best(None, total=True), best(None, total=True, stable=True)]

    expected = [[f"`{style}`", *row(style)] for style in PAGINATIONS.names()]
    assert table("delivery.md", "completeness") == expected


def test_the_limits_of_the_page_are_those_of_the_code() -> None:
    assert table("reference/avro.md", "limits") == [
        [f"`{name}`", str(value)] for name, value in asdict(Limits()).items()
    ]


def test_python_blocks_run() -> None:
    blocks = re.findall(
        r"```python\n(.*?)```", (ROOT / "docs" / "reference" / "avro.md").read_text(), re.DOTALL
    )
    assert blocks
    for block in blocks:
        exec(compile(block, "avro.md", "exec"), {})


def test_every_function_is_in_the_page() -> None:
    assert table("expressions.md", "functions") == [
        [f"`{name}`", function.takes] for name, function in FUNCTIONS.items()
    ]


@pytest.mark.parametrize(("expression", "result"), table("expressions.md", "examples"))
def test_an_example_of_the_expression_language(expression: str, result: str) -> None:
    text = (ROOT / "docs" / "expressions.md").read_text()
    record = json.loads(re.findall(r"for the record `(\{.*?\})`", text, re.DOTALL)[0])
    stamp = {"type": "long", "logicalType": "timestamp-millis"}
    kinds: dict[str, Any] = {
        "id": "long",
        "price": "double",
        "discount": ["null", "double"],
        "name": "string",
        "at": stamp,
    }
    kinds["tags"] = {"type": "array", "items": "string"}
    found = outcome_of(expression.strip("`"), record, kinds)
    assert found == (
        result.removeprefix("reject ").strip("`")
        if result.startswith("reject")
        else json.loads(result.strip("`"))
    )


def test_every_code_of_a_reject_is_in_the_page() -> None:
    used: set[str] = set()
    for path in (ROOT / "worker").rglob("*.py"):
        text = path.read_text()
        used |= set(
            re.findall(
                r'(?:InvalidRecord|Invalid|_bad|refuse)\(\s*(?:index,\s+|batch, \w+,\s+)?"([a-z_]+)"',
                text,
            )
        )
        used |= set(re.findall(r'Reject\(\s*\w+,\s+"[a-z]+",\s+"([a-z_]+)"', text))
        used |= (
            set(re.findall(r': \(\s*"([a-z_]+)",\s+"[^"]+",?\s*\)[,}]', text))
            if path.name == "program.py"
            else set()
        )
    assert used - set(reference.REJECTS) == set()
    assert len(used) >= 8


async def test_the_quickstart_as_a_new_user_follows_it(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "quickstart.md").read_text()
    for name, body in re.findall(r"<!-- file: (\S+) -->\n```\w+\n(.*?)```", text, re.DOTALL):
        (tmp_path / name).write_text(body)

    async def orders(request: web.Request) -> web.Response:
        return web.Response(
            body=(tmp_path / "orders.json").read_bytes(), content_type="application/json"
        )

    app = web.Application()
    app.router.add_get("/orders.json", orders)
    server = TestServer(app)
    await server.start_server()
    config = tmp_path / "worker.yaml"
    config.write_text(config.read_text().replace("127.0.0.1:8000", f"127.0.0.1:{server.port}"))
    environment = {**os.environ, "WORKER_ADMIN__LISTEN": "127.0.0.1:0", "PYTHONPATH": str(ROOT)}
    said = []
    steps = re.findall(
        r"<!-- edit: (\S+): (.*?) -> (.*?) -->|<!-- run -->\n```sh\n(.*?)```", text, re.DOTALL
    )
    assert len(steps) == 4
    for file, before, after, block in steps:
        if file:
            changed = (tmp_path / file).read_text().replace(before, after)
            assert after in changed
            (tmp_path / file).write_text(changed)
        for line in block.splitlines():
            command = line.replace("worker ", f"{shlex.quote(sys.executable)} -m worker ", 1)
            done = await asyncio.to_thread(
                subprocess.run,
                command,
                shell=True,
                cwd=tmp_path,
                env=environment,
                capture_output=True,
                text=True,
                timeout=60,
            )
            assert done.returncode == 0, (line, done.stdout, done.stderr)
            said.append(done.stdout)
    await server.close()
    check, read, run, cat, show, *_ = said
    assert "exactly_once" in check
    assert [json.loads(line)["id"] for line in read.splitlines() if line.startswith("{")] == [1, 2]
    assert "2 records" in run and "1 rejects" in run
    assert [json.loads(line)["customer"] for line in cat.splitlines()] == ["ann", "bob"]
    assert "total" in show
    assert sorted(
        path.parent.name for path in (tmp_path / "var" / "lake" / "orders").glob("*/*.avro")
    ) == ["dt=2024-05-01", "dt=2024-05-02"]
