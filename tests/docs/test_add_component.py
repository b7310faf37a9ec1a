"""The worked examples of docs/how-to/add-a-component.md, added and run over HTTP.

Each is added in both ways of the page: as one file of this package and one line in its table, and
by an entry point of a package from outside.
"""

from __future__ import annotations

import hmac
import json
import re
import sys
import tomllib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import kit
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from click.testing import CliRunner
from transforms.test_expression import PLAN, RECORD, outcome_with

from worker import components
from worker.app import run_async
from worker.cli import cli
from worker.cli.check import examine
from worker.components import KINDS, Kind
from worker.core.errors import ConfigError
from worker.core.model import RECORDS, ChainState
from worker.core.ports import CommitLog, CommitRecords, OutputRoot, Sink
from worker.formats.ndjson import NdjsonEncoder
from worker.schema import parse_schema
from worker.schema.encoding import AvroRows
from worker.settings import load_settings
from worker.sinks.config import SinkDeps
from worker.state.sqlite import STATE_FILE, SqliteCommitLog
from worker.testing.commit_log_contract import CommitLogContract
from worker.testing.sink_contract import SinkContract, SinkPlace
from worker.transforms.steps import compile_steps

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "add-a-component.md").read_text()
FILES: dict[str, str] = dict(re.findall(r"<!-- file: (\S+) -->\n```python\n(.*?)```", PAGE, re.S))
LINES: list[tuple[str, str, str]] = re.findall(
    r'<!-- line: (\w+) -->\n```python\n +"(\w+)": "([\w.]+)",\n```', PAGE
)
[PYPROJECT] = re.findall(r"```toml\n(.*?)```", PAGE, re.S)


def kind_of(table: str) -> Kind:
    found: Kind = getattr(components, table)
    return found


def test_every_kind_has_an_example_of_one_file_and_one_line() -> None:
    assert {kind_of(table) for table, _, _ in LINES} == set(KINDS)
    modules = {path.removesuffix(".py").replace("/", ".") for path in FILES}
    assert modules == {module for _, _, module in LINES}
    groups = tomllib.loads(PYPROJECT)["project"]["entry-points"]
    assert {group: list(names) for group, names in groups.items()} == {
        kind_of(table).group: [name] for table, name, _ in LINES
    }


@pytest.fixture(params=["one file and one line", "a package from outside"])
def added(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """The components of the page, added in one of the two ways."""
    add = _add_inside if request.param == "one file and one line" else _add_outside
    with _forgotten_later():
        add(tmp_path / "added", monkeypatch)
        yield


@pytest.fixture
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The components of the page, added to this package."""
    with _forgotten_later():
        _add_inside(tmp_path / "added", monkeypatch)
        yield


@contextmanager
def _forgotten_later() -> Iterator[None]:
    """Modules of the page that are imported inside are not there after it."""
    yield
    mine = {module for _, _, module in LINES}
    for name in [name for name in sys.modules if name in mine or name.startswith("acme")]:
        del sys.modules[name]


def _add_inside(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path, source in FILES.items():
        file = directory / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(source)
        package = import_module(str(Path(path).parent).replace("/", "."))
        monkeypatch.setattr(package, "__path__", [*package.__path__, str(file.parent)])
    for table, name, module in LINES:
        monkeypatch.setitem(kind_of(table).built_in, name, module)  # type: ignore[arg-type]


def _add_outside(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (directory / "acme").mkdir(parents=True)
    for path, source in FILES.items():
        (directory / "acme" / Path(path).name).write_text(source)
    groups = tomllib.loads(PYPROJECT)["project"]["entry-points"]
    entry_points = {
        f"{group}: {name}": module
        for group, names in groups.items()
        for name, module in names.items()
    }
    kit.install(directory, "acme-worker", {}, entry_points)
    monkeypatch.syspath_prepend(str(directory))


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def served(handler: Handler) -> AsyncIterator[str]:
    """The URL of a server with one page."""
    app = web.Application()
    app.router.add_get("/v1/customers", handler)
    server = TestServer(app)
    await server.start_server()
    try:
        yield str(server.make_url("/v1/customers"))
    finally:
        await server.close()


async def items(request: web.Request) -> web.Response:
    return web.json_response({"items": [kit.item(number, second=number) for number in range(5)]})


async def ran(config: Path) -> None:
    """Checks a config, runs it, and verifies what it wrote."""
    problems, _ = examine([config])
    assert not problems
    result = await run_async(load_settings([config]), once=True)
    assert result.exit_code == 0
    verified = CliRunner().invoke(cli, ["verify", str(config)])
    assert (verified.exit_code, verified.output.splitlines()[-1]) == (0, "ok"), verified.output


# -- a pagination style ---------------------------------------------------------------------------


async def test_the_pagination_style_reads_every_record(added: None, tmp_path: Path) -> None:
    asked = []

    async def customers(request: web.Request) -> web.Response:
        letter = request.query["letter"]
        asked.append(letter)
        number = ord(letter) - ord("a")
        there = [] if letter in "qx" else range(number * 10, number * 10 + 3)
        return web.json_response({"items": [kit.item(each, second=number) for each in there]})

    async with served(customers) as url:
        config = kit.write_config(tmp_path, url, source={"pagination": {"type": "letters"}})
        assert examine([config])[1][0]["completeness"] == "unknown"
        await ran(config)
    assert asked == [chr(ord("a") + number) for number in range(26)]
    letters = [number for number in range(26) if chr(ord("a") + number) not in "qx"]
    assert kit.lake_ids(tmp_path) == [number * 10 + each for number in letters for each in range(3)]


def test_a_wrong_key_of_the_style_is_named(added: None, tmp_path: Path) -> None:
    source = {"pagination": {"type": "letters", "parm": "x"}}
    config = kit.write_config(tmp_path, "http://127.0.0.1:1/", source=source)
    [problem] = examine([config])[0]
    assert problem.place.key == "pipelines.items.source.pagination.parm"
    assert "param" in problem.hints


# -- a transform ----------------------------------------------------------------------------------


async def test_the_transform_shortens_what_it_names(added: None, tmp_path: Path) -> None:
    async def people(request: web.Request) -> web.Response:
        person = kit.item(1, second=1) | {"tenant": "Ada Byron Lovelace"}
        return web.json_response({"items": [person]})

    async with served(people) as url:
        config = kit.write_config(
            tmp_path, url, sink={"format": "ndjson"}, transforms=[{"initials": ["tenant"]}]
        )
        await ran(config)
    [file] = (tmp_path / "lake").glob("*.ndjson")
    assert json.loads(file.read_text())["tenant"] == "ABL"


def test_the_transform_refuses_what_is_no_text(added: None) -> None:
    output = parse_schema(
        json.dumps({"type": "record", "name": "O", "fields": [{"name": "out", "type": "string"}]})
    )
    with pytest.raises(ConfigError, match="whole number; initials are those of text"):
        compile_steps(PLAN, [("initials", ["i"])], output, AvroRows(output))  # type: ignore[list-item]
    steps = [("set", {"s": "'Ada Byron Lovelace'"}), ("initials", ["s"])]
    assert outcome_with(PLAN, "s", RECORD, "string", before=steps) == "ABL"


# -- a format -------------------------------------------------------------------------------------


async def test_the_format_reads_bodies_and_writes_files(added: None, tmp_path: Path) -> None:
    async def table(request: web.Request) -> web.Response:
        lines = [
            "\t".join(map(str, kit.item(number, second=number).values())) for number in range(3)
        ]
        names = "\t".join(kit.item(0, second=0))
        bad = lines[0].replace("0\t", "none\t", 1)
        return web.Response(text="".join(f"{line}\n" for line in (names, *lines, bad)))

    async with served(table) as url:
        config = kit.write_config(
            tmp_path, url, source={"records": None}, sink={"format": "tsv"}, decode={"type": "tsv"}
        )
        await ran(config)
    [file] = (tmp_path / "lake").glob("*.tsv")
    names, *lines = file.read_text().splitlines()
    assert names == "id\ttenant\tregion\tupdated_at\tvalue"
    assert [line.split("\t")[:3] for line in lines] == [
        ["0", "a", "r0"],
        ["1", "b", "r1"],
        ["2", "c", "r2"],
    ]
    [letters] = (tmp_path / "state" / "dead_letters" / "items").glob("*.ndjson")
    assert json.loads(json.loads(letters.read_text())["raw"])["id"] == "none"


async def test_a_body_of_the_format_that_was_cut_is_tried_again(
    added: None, tmp_path: Path
) -> None:
    bodies = iter(["id\ttena", "id\ttenant\tregion\tupdated_at\tvalue\n"])

    async def table(request: web.Request) -> web.Response:
        return web.Response(text=next(bodies))

    async with served(table) as url:
        source = {"records": None}
        await ran(kit.write_config(tmp_path, url, source=source, decode={"type": "tsv"}))
    assert next(bodies, None) is None


# -- a sink ---------------------------------------------------------------------------------------


async def test_the_sink_puts_each_file_into_the_inbox(added: None, tmp_path: Path) -> None:
    async with served(items) as url:
        inbox = tmp_path / "inbox"
        sink = {"type": "inbox", "inbox": str(inbox), "partition_by": "{tenant}"}
        await ran(kit.write_config(tmp_path, url, sink=sink))
    assert kit.lake_ids(tmp_path) == [0, 1, 2, 3, 4]
    published = kit.published(tmp_path)
    assert len(published) == 3
    assert {path.name: path.read_bytes() for path in inbox.iterdir()} == {
        path.name: path.read_bytes() for path in published
    }


def test_what_the_sink_refers_to_is_looked_at(added: None, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    sink = {"type": "inbox", "inbox": str(tmp_path / "file" / "inbox")}
    [problem] = examine([kit.write_config(tmp_path, "http://127.0.0.1:1/", sink=sink)])[0]
    assert (problem.code, problem.place.key) == ("path", "pipelines.items.sink.inbox")
    assert "the inbox" in problem.found


class InboxPlace:
    """The sink of the page over a directory."""

    def __init__(self, directory: Path) -> None:
        self._module = kind_of("SINKS").load("inbox")
        self._directory = directory / "lake"
        self._inbox = directory / "inbox"

    def _config(self, **keys: Any) -> Any:
        return self._module.Config(type="inbox", path=self._directory, inbox=self._inbox, **keys)

    def sink(self, chain: ChainState, *, kind: str = RECORDS, taken: bool = False) -> Sink:
        deps = SinkDeps(chain, lambda *_: NdjsonEncoder())
        sink: Sink = self._module.build(self._config(files_are_taken=taken), deps)
        sink.kind = kind
        return sink

    def commits(self, chain: ChainState) -> CommitRecords:
        deps = SinkDeps(chain, lambda *_: NdjsonEncoder())
        commits: CommitRecords = self._module.commits(self._config(), deps)
        return commits

    def root(self, kind: str = RECORDS) -> OutputRoot:
        root: OutputRoot = self._module.root(self._config(), {})
        root.kind = kind
        return root

    def put(self, name: str, data: bytes) -> None:
        (self._directory / name).write_bytes(data)

    def take(self, name: str) -> None:
        (self._directory / name).unlink()


class TestTheSinkOfThePage(SinkContract):
    @pytest.fixture
    def place(self, inside: None, tmp_path: Path) -> SinkPlace:
        return InboxPlace(tmp_path)


# -- credentials ----------------------------------------------------------------------------------


async def test_the_credentials_sign_each_request(
    added: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHARED_KEY", "s3cret")

    async def guarded(request: web.Request) -> web.StreamResponse:
        time = request.headers["X-Time"]
        wanted = hmac.digest(b"s3cret", time.encode(), "sha256").hex()
        return (
            await items(request)
            if request.headers["X-Signature"] == wanted
            else web.Response(status=401)
        )

    async with served(guarded) as url:
        auth = {"type": "signed", "key": {"env": "SHARED_KEY"}}
        config = kit.write_config(tmp_path, url, source={"auth": auth})
        await ran(config)
        assert kit.lake_ids(tmp_path) == [0, 1, 2, 3, 4]
        monkeypatch.delenv("SHARED_KEY")
        [problem] = examine([config])[0]
        assert (problem.code, problem.place.key) == ("secret", "pipelines.items.source.auth.key")


# -- a commit log ---------------------------------------------------------------------------------


async def test_the_commit_log_writes_its_trail(added: None, tmp_path: Path) -> None:
    async with served(items) as url:
        config = kit.write_config(tmp_path, url)
        trail = tmp_path / "trail.txt"
        state = f"state: {{type: audited, trail: {trail}, "
        config.write_text(config.read_text().replace("state: {", state))
        await ran(config)
    assert kit.lake_ids(tmp_path) == [0, 1, 2, 3, 4]
    [line] = trail.read_text().splitlines()
    assert line.endswith(" items 1 1 files")


class TestTheCommitLogOfThePage(CommitLogContract):
    @pytest.fixture
    def reopen(self, inside: None, tmp_path: Path) -> Iterator[Callable[[], CommitLog]]:
        module = kind_of("STATE").load("audited")
        config = module.Config(
            type="audited", path=tmp_path / "state", trail=tmp_path / "trail.txt"
        )
        opened: list[CommitLog] = []

        def again() -> CommitLog:
            opened.append(module.build(config, read_only=False))
            return opened[-1]

        yield again
        for log in opened:
            log.close()

    @pytest.fixture
    def restored(self, reopen: Callable[[], CommitLog], tmp_path: Path) -> Callable[[], CommitLog]:
        return lambda: SqliteCommitLog(tmp_path / "other" / STATE_FILE)


# -- a source -------------------------------------------------------------------------------------


async def test_the_source_keeps_every_body(added: None, tmp_path: Path) -> None:
    async with served(items) as url:
        archive = tmp_path / "archive"
        source: dict[str, Any] = {"type": "http_archived", "archive": str(archive)}
        await ran(kit.write_config(tmp_path, url, source=source))
    assert kit.lake_ids(tmp_path) == [0, 1, 2, 3, 4]
    [body] = archive.iterdir()
    assert len(json.loads(body.read_bytes())["items"]) == 5
