"""A schema registry in whole runs: schemas from it, writers that it names, and its outages."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import fastavro
import kit
import pytest
from avro_kit import PAGES, avro_server, datum, row
from click.testing import CliRunner
from registry_stub import Stub, registry
from ruamel.yaml import YAML
from tls_kit import Authority, needs_openssl, server_context

from worker.app import RunResult, run_async
from worker.cli import cli
from worker.cli.check import examine
from worker.core.errors import (
    ConfigError,
    IncompatibleSchema,
    PermanentError,
    RegistryUnavailable,
    SchemaMismatch,
    SchemaUnfit,
    WorkerError,
)
from worker.settings import load_settings
from worker.testing.replica import Replica, Shape

QUICK = {"base": "1ms", "cap": "2ms", "max_attempts": 2}


async def run(config: Path) -> RunResult:
    return await run_async(load_settings([config]), once=True)


def message(number: int, schema: Any, record: Any) -> bytes:
    return b"\0" + number.to_bytes(4, "big") + datum(schema, record)


def confluent(directory: Path, url: str, stub: Stub, **more: Any) -> Path:
    decode = {"type": "avro", "framing": "confluent", "registry": {"url": stub.url}}
    return kit.write_config(directory, url, source={**PAGES, "retry": QUICK}, decode=decode, **more)


async def test_messages_of_several_writers_are_read_by_their_ids(tmp_path: Path) -> None:
    wider = {**kit.SCHEMA, "fields": [*kit.SCHEMA["fields"], {"name": "more", "type": "int"}]}
    async with registry() as stub:
        old, new = stub.add("items", kit.SCHEMA), stub.add("items", wider)
        bodies = [
            b"".join(
                message(
                    new if n % 2 else old,
                    wider if n % 2 else kit.SCHEMA,
                    row(page * 50 + n, more=1),
                )
                for n in range(50)
            )
            for page in range(4)
        ]
        async with avro_server(bodies) as url:
            result = await run(confluent(tmp_path, url, stub))
        assert result.exit_code == 0, result
        assert sorted(stub.asked) == [f"GET /sr/schemas/ids/{old}", f"GET /sr/schemas/ids/{new}"]
    assert kit.lake_ids(tmp_path) == list(range(200))


class Failing(list[bytes]):
    """Bodies; when the one at `place` is asked for the registry goes down."""

    def __init__(self, bodies: list[bytes], stub: Stub, place: int) -> None:
        super().__init__(bodies)
        self.stub, self.place = stub, place

    def __getitem__(self, place: Any) -> Any:
        self.stub.down = self.stub.down or place == self.place
        return super().__getitem__(place)


@pytest.mark.fault(34, by="the registry answers 503 in the middle of a run")
async def test_an_outage_in_mid_run_pauses_what_needs_an_unknown_id_and_loses_nothing(
    tmp_path: Path,
) -> None:
    async with registry() as stub:
        old, new = stub.add("items", kit.SCHEMA), stub.add("items", {**kit.SCHEMA, "doc": "newer"})
        ids = [old, old, old, old, new, old]
        async with avro_server(
            Failing(
                [message(each, kit.SCHEMA, row(number)) for number, each in enumerate(ids)], stub, 2
            )
        ) as url:
            config = confluent(tmp_path, url, stub)
            result = await run(config)
            assert result.exit_code == 69
            assert "the schema registry does not answer" in result.pipelines[0].error
            assert kit.lake_ids(tmp_path) == [0, 1, 2, 3]
            assert not (tmp_path / "state" / "dead_letters" / "items").exists() or not kit.dead_ids(
                tmp_path
            )
            stub.down, stub.asked = False, []
            assert (await run(config)).exit_code == 0
            assert stub.asked == [f"GET /sr/schemas/ids/{new}"]
    assert kit.lake_ids(tmp_path) == list(range(6))


@pytest.mark.fault(34, by="the same, with ids that are known")
async def test_a_cached_id_goes_on_through_an_outage_in_mid_run_and_after_a_restart(
    tmp_path: Path,
) -> None:
    async with registry() as stub:
        old = stub.add("items", kit.SCHEMA)
        async with avro_server(
            Failing([message(old, kit.SCHEMA, row(number)) for number in range(5)], stub, 1)
        ) as url:
            assert (await run(confluent(tmp_path, url, stub))).exit_code == 0
            assert kit.lake_ids(tmp_path) == list(range(5))
            # a pipeline of its own over the same state, while the registry is still down: what was
            # seen is on disk
            source = {**PAGES, "retry": QUICK}
            decode = {"type": "avro", "framing": "confluent", "registry": {"url": stub.url}}
            config = kit.write_config(
                tmp_path,
                url,
                source=source,
                decode=decode,
                sink={"path": str(tmp_path / "lake" / "again")},
            )
            text = config.read_text().replace("items:\n", "again:\n", 1)
            config.write_text(text)
            assert (await run(config)).exit_code == 0
    assert kit.lake_ids(tmp_path) == sorted([*range(5), *range(5)])
    assert len([each for each in stub.asked if "ids" in each]) == 1


@pytest.mark.fault(34, by="an id that the registry does not know")
async def test_an_unknown_id_is_no_dead_letter(tmp_path: Path) -> None:
    async with registry() as stub:
        known = stub.add("items", kit.SCHEMA)
        bodies = [message(known, kit.SCHEMA, row(0)), message(77, kit.SCHEMA, row(1))]
        async with avro_server(bodies) as url:
            config = confluent(tmp_path, url, stub, dead_letters={"path": str(tmp_path / "dead")})
            result = await run(config)
            assert result.exit_code == 65
            assert "the registry has no schemas/ids/77" in result.pipelines[0].error
            assert kit.lake_ids(tmp_path) == [0]
            assert not list((tmp_path / "dead").glob("*.ndjson"))
            while stub.add("later", kit.SCHEMA) < 77:
                pass
            assert (await run(config)).exit_code == 0
    assert kit.lake_ids(tmp_path) == [0, 1]


def from_subject(directory: Path, url: str, stub: Stub, **ref: Any) -> Path:
    schema = {"registry": stub.url, "subject": "items-value", **ref}
    return kit.write_config(
        directory, url, source={"retry": QUICK, "pagination": {"type": "none"}}, schema=schema
    )


async def test_the_schema_of_a_pipeline_may_be_a_subject(tmp_path: Path) -> None:
    records = [kit.item(number, second=number) for number in range(30)]
    token = tmp_path / "token"
    token.write_text("t0k\n")
    async with registry() as stub, Replica(records, Shape(style="none", cap=100)) as replica:
        stub.authorization = "Bearer t0k"
        stub.add("items-value", kit.SCHEMA)
        config = from_subject(
            tmp_path, replica.url, stub, auth={"type": "bearer", "token": {"file": str(token)}}
        )
        assert (await run(config)).exit_code == 0
        assert kit.lake_ids(tmp_path) == list(range(30))
        stub.down = True
        assert (await run(config)).exit_code == 0  # the latest that was seen
        assert b"t0k" not in b"".join(
            path.read_bytes() for path in (tmp_path / "state").rglob("*") if path.is_file()
        )


async def test_without_a_registry_and_without_a_cache_nothing_starts(tmp_path: Path) -> None:
    async with registry() as stub, Replica([], Shape(style="none")) as replica:
        stub.down = True
        with pytest.raises(RegistryUnavailable, match="does not answer"):
            await run(from_subject(tmp_path, replica.url, stub))
        stub.down = False
        with pytest.raises(
            SchemaMismatch, match="the registry has no subjects/items-value/versions/latest"
        ):
            await run(from_subject(tmp_path, replica.url, stub))
        assert replica.requests == []


def beside(config: Path, directory: Path) -> Path:
    """The config with a second pipeline, `plain`, which needs no registry."""
    document = YAML(typ="safe").load(config)
    items = document["pipelines"]["items"]
    document["pipelines"]["plain"] = {
        **items,
        "schema": "item.avsc",
        "sink": {"path": str(directory / "plain" / "lake")},
    }
    with config.open("w") as file:
        YAML(typ="safe").dump(document, file)
    return config


async def test_an_outage_at_the_start_ends_only_the_pipeline_that_needs_the_registry(
    tmp_path: Path,
) -> None:
    records = [kit.item(number, second=number) for number in range(30)]
    async with registry() as stub, Replica(records, Shape(style="none", cap=100)) as replica:
        stub.down = True
        result = await run(beside(from_subject(tmp_path, replica.url, stub), tmp_path))
    assert kit.lake_ids(tmp_path / "plain") == list(range(30))
    assert result.exit_code == 69
    assert {each.name: "does not answer" in each.error for each in result.pipelines} == {
        "plain": False,
        "items": True,
    }


@pytest.mark.parametrize(
    ("authorization", "code", "said"),
    [("", 65, "has no subjects"), ("Bearer other", 77, "")],
    ids=["unknown subject", "401"],
)
@pytest.mark.parametrize("once", [True, False])
async def test_what_a_registry_refuses_at_the_start_ends_only_its_pipeline(
    authorization: str, code: int, said: str, once: bool, tmp_path: Path
) -> None:
    records = [kit.item(number, second=number) for number in range(30)]
    async with registry() as stub, Replica(records, Shape(style="none", cap=100)) as replica:
        stub.authorization = authorization
        settings = load_settings([beside(from_subject(tmp_path, replica.url, stub), tmp_path)])
        result = await run_async(settings, once=once, for_s=None if once else 0.7)
    assert kit.lake_ids(tmp_path / "plain") == list(range(30))
    assert result.exit_code == code
    errors = {each.name: each.error for each in result.pipelines}
    assert not errors["plain"] and errors["items"] and said in errors["items"]


async def test_an_incompatible_schema_ends_only_its_pipeline(tmp_path: Path) -> None:
    records = [kit.item(number, second=number) for number in range(30)]
    async with registry() as stub, Replica(records, Shape(style="none", cap=100)) as replica:
        stub.add("lake", {**kit.SCHEMA, "doc": "older"})
        stub.refuses = ["reader type: INT"]
        ref = {"registry": stub.url, "subject": "lake"}
        config = kit.write_config(
            tmp_path,
            replica.url,
            source={"retry": QUICK, "pagination": {"type": "none"}},
            sink={"register": ref},
        )
        result = await run(beside(config, tmp_path))
    assert kit.lake_ids(tmp_path / "plain") == list(range(30))
    assert result.exit_code == 65
    assert {each.name: "reader type: INT" in each.error for each in result.pipelines} == {
        "plain": False,
        "items": True,
    }


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ([{"name": "id", "type": "long"}], "does not fit the schema that its registry has"),
        ([{"name": "id", "type": "long", "default": "no"}, *kit.SCHEMA["fields"][1:]], "version 2"),
    ],
    ids=["without a field that a transform needs", "refused by the strict parse"],
)
@pytest.mark.parametrize("once", [True, False])
async def test_a_schema_that_its_registry_changed_ends_only_its_pipeline(
    tmp_path: Path, fields: list[Any], said: str, once: bool
) -> None:
    records = [kit.item(number, second=number) for number in range(30)]
    async with registry() as stub, Replica(records, Shape(style="none", cap=100)) as replica:
        config = kit.write_config(
            tmp_path,
            replica.url,
            source={"retry": QUICK, "pagination": {"type": "none"}},
            schema={"registry": stub.url, "subject": "items-value"},
            transforms=[{"filter": "value >= 0"}],
        )
        config = beside(config, tmp_path)
        stub.add("items-value", kit.SCHEMA)
        assert (await run(config)).exit_code == 0
        stub.add("items-value", {**kit.SCHEMA, "fields": fields})
        settings = load_settings([config])
        result = await run_async(settings, once=once, for_s=None if once else 0.7)
    assert result.exit_code == 78
    errors = {each.name: each.error for each in result.pipelines}
    assert not errors["plain"] and said in errors["items"]


def fields(**more: Any) -> dict[str, Any]:
    """The schema with one more field."""
    return {**kit.SCHEMA, "fields": [*kit.SCHEMA["fields"], {"name": "more", **more}]}


REFUSED: dict[str, tuple[Any, str, str]] = {
    "an illegal name": (
        fields(type={"type": "record", "name": "dist-tags", "fields": []}),
        "version 1 of subject items-value at ",
        "$.fields[5].type.name: 'dist-tags' is not a valid name",
    ),
    "an illegal name of a field": (
        {**kit.SCHEMA, "fields": [{"name": "1st", "type": "int"}]},
        "version 1 of subject items-value at ",
        "$.fields[0].name",
    ),
    "a union at the root": (
        ["null", kit.SCHEMA],
        "version 1 of subject items-value at ",
        "$: the root is union, a record is needed",
    ),
    "an enum at the root": (
        {"type": "enum", "name": "E", "symbols": ["A"]},
        "version 1 of subject items-value at ",
        "$: the root is enum",
    ),
    "an unknown reference": (
        fields(type="com.x.Nobody"),
        "version latest of subject items-value at ",
        "$.fields[5].type: unknown type 'com.x.Nobody'",
    ),
    "an unknown type in a reference": (
        fields(type="Kind"),
        "subjects/kind/versions/1 is no Avro schema",
        "$.fields[0].type: unknown type 'strin'",
    ),
    "no JSON": ("{", "version latest of subject items-value at ", "$: no JSON document"),
}
KIND = {"type": "record", "name": "Kind", "fields": [{"name": "a", "type": "strin"}]}


@pytest.mark.fault(53, by="a schema of the registry that means nothing")
@pytest.mark.parametrize("case", [*REFUSED, "another language"])
@pytest.mark.parametrize("once", [True, False], ids=["once", "daemon"])
async def test_a_schema_that_is_refused_holds_its_own_pipeline_and_is_named_with_its_place(
    case: str, once: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    schema, subject, place = REFUSED.get(
        case, ("message A {}", "of subject items-value", "is PROTOBUF, an Avro schema is needed")
    )
    records = [kit.item(number, second=number) for number in range(30)]
    async with registry() as stub, Replica(records, Shape(style="none", cap=100)) as replica:
        stub.add("kind", KIND)
        references = [{"name": "Kind", "subject": "kind", "version": 1}]
        stub.add(
            "items-value",
            schema,
            references=references if "in a reference" in case else None,
            kind="PROTOBUF" if case not in REFUSED else "AVRO",
        )
        config = beside(from_subject(tmp_path, replica.url, stub), tmp_path)
        result = await run_async(load_settings([config]), once=once, for_s=None if once else 0.7)
    assert kit.lake_ids(tmp_path / "plain") == list(range(30))
    assert result.exit_code == 78
    errors = {each.name: each.error for each in result.pipelines}
    assert not errors["plain"]
    assert subject in errors["items"] and place in errors["items"], errors["items"]
    logged = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    [told] = [each for each in logged if each.get("pipeline") == "items"]
    assert told["event"] == ("pipeline.failed" if once else "attempt.failed")
    assert subject in told["reason"] and place in told["reason"]


async def test_in_a_daemon_a_pipeline_joins_once_its_schema_was_corrected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.wiring.deferred_start.PAUSE_S", 0.01)
    monkeypatch.setattr("worker.wiring.deferred_start.LONGEST_PAUSE_S", 0.02)
    records = [kit.item(number, second=number) for number in range(30)]
    async with registry() as stub, Replica(records, Shape(style="none", cap=100)) as replica:
        stub.add("items-value", ["null", kit.SCHEMA])
        settings = load_settings([beside(from_subject(tmp_path, replica.url, stub), tmp_path)])

        async def correct() -> None:
            while len(stub.asked) < 3:
                await asyncio.sleep(0.005)
            stub.add("items-value", kit.SCHEMA)

        result, _ = await asyncio.gather(run_async(settings, once=False, for_s=1.5), correct())
    assert result.exit_code == 0, result
    assert kit.lake_ids(tmp_path) == kit.lake_ids(tmp_path / "plain") == list(range(30))


@pytest.mark.parametrize("case", REFUSED)
async def test_a_schema_file_that_is_refused_is_a_wrong_config_and_nothing_is_read(
    case: str, tmp_path: Path
) -> None:
    schema, _, _ = REFUSED[case]
    async with Replica([kit.item(1, second=1)], Shape(style="none")) as replica:
        config = beside(kit.write_config(tmp_path, replica.url, schema="refused.avsc"), tmp_path)
        (tmp_path / "refused.avsc").write_text(
            schema if isinstance(schema, str) else json.dumps(schema)
        )
        with pytest.raises(ConfigError) as refused:
            await run(config)
        assert replica.requests == []
    assert refused.value.exit == 78
    [problem] = examine([config])[0]
    assert "refused.avsc" in str(problem) and "refused.avsc" in str(refused.value)


async def test_where_nothing_else_can_run_the_error_names_the_pipeline_too(tmp_path: Path) -> None:
    async with registry() as stub, Replica([], Shape(style="none")) as replica:
        stub.add("items-value", ["null", kit.SCHEMA])
        with pytest.raises(SchemaUnfit) as refused:
            await run(from_subject(tmp_path, replica.url, stub))
    assert str(refused.value).startswith("pipeline items: version 1 of subject items-value")
    assert refused.value.exit == 78


async def test_check_with_connect_warns_of_what_the_schema_says_in_vain(tmp_path: Path) -> None:
    from worker.wiring.peek import peek

    wrong = {"type": "long", "logicalType": "timestamp-milis"}
    async with registry() as stub, Replica([kit.item(1, second=1)], Shape(style="none")) as replica:
        stub.add("items-value", fields(type=["null", wrong]))
        settings = load_settings([from_subject(tmp_path, replica.url, stub)])
        seen = await peek(settings, "items", records=1)
    [finding] = seen.findings
    assert not finding.alarm and "$.fields[5].type[1]" in str(finding)


async def test_in_a_daemon_such_a_pipeline_joins_once_its_registry_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.wiring.deferred_start.PAUSE_S", 0.01)
    records = [kit.item(number, second=number) for number in range(30)]
    async with registry() as stub, Replica(records, Shape(style="none", cap=100)) as replica:
        stub.add("items-value", kit.SCHEMA)
        stub.failures = 5
        result = await run_async(
            load_settings([beside(from_subject(tmp_path, replica.url, stub), tmp_path)]),
            once=False,
            for_s=1.5,
        )
    assert result.exit_code == 0, result
    assert kit.lake_ids(tmp_path) == kit.lake_ids(tmp_path / "plain") == list(range(30))
    assert len(stub.asked) > 5


async def test_the_schema_of_the_files_is_registered_once_after_the_registry_found_it_compatible(
    tmp_path: Path,
) -> None:
    async with registry() as stub, Replica([kit.item(1, second=1)], Shape(style="none")) as replica:
        ref = {"registry": stub.url, "subject": "lake items"}
        config = kit.write_config(
            tmp_path,
            replica.url,
            source={"retry": QUICK, "pagination": {"type": "none"}},
            sink={"register": ref},
        )
        assert (await run(config)).exit_code == 0
        [(_, text, _, _)] = stub.subjects["lake items"]
        with kit.published(tmp_path)[0].open("rb") as file:
            assert json.loads(text) == json.loads(fastavro.reader(file).metadata["avro.schema"])
        assert stub.asked == [
            "POST /sr/compatibility/subjects/lake%20items/versions/latest",
            "POST /sr/subjects/lake%20items/versions",
        ]
        stub.down = True
        assert (await run(config)).exit_code == 0  # it is registered: nobody needs to be asked
        stub.down, stub.refuses = False, ["reader type: INT"]
        (tmp_path / "item.avsc").write_text(json.dumps({**kit.SCHEMA, "doc": "changed"}))
        with pytest.raises(
            IncompatibleSchema, match="for subject lake items: reader type: INT"
        ) as refused:
            await run(config)
        assert refused.value.exit == 65
        asked, stub.refuses = len(stub.asked), []
        (tmp_path / "item.avsc").write_text(
            json.dumps(
                {**kit.SCHEMA, "fields": [*kit.SCHEMA["fields"], {"name": "must", "type": "int"}]}
            )
        )
        with pytest.raises(IncompatibleSchema, match="cannot read the committed files"):
            await run(config)
        assert len(stub.asked) == asked  # what may not follow the committed files is not registered
    assert len(stub.subjects["lake items"]) == 1


def test_check_needs_no_registry_and_says_what_it_could_not_look_at(tmp_path: Path) -> None:
    stub = Stub(url="http://127.0.0.1:9/sr")
    found = CliRunner().invoke(
        cli, ["check", str(from_subject(tmp_path, "http://127.0.0.1:9/x", stub)), "--json"]
    )
    assert found.exit_code == 0, found.output
    [promise] = json.loads(found.output)
    assert (
        promise["not_checked"]
        == "version latest of subject items-value at http://127.0.0.1:9/sr: needs the registry, so --connect"
    )


async def test_check_with_connect_reads_with_the_schema_of_the_subject(tmp_path: Path) -> None:
    from worker.wiring.peek import peek

    async with registry() as stub, Replica([kit.item(1, second=1)], Shape(style="none")) as replica:
        stub.add("items-value", kit.SCHEMA)
        seen = await peek(
            load_settings([from_subject(tmp_path, replica.url, stub)]), "items", records=1
        )
    assert json.loads(seen.lines[0])["id"] == 1
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize(
    ("ref", "said"),
    [
        ({"version": 0}, "version"),
        ({"version": "newest"}, "version"),
        ({"subject": ""}, "subject"),
        ({"auth": {"type": "bearer", "token": {"env": "NO_SUCH"}}}, "NO_SUCH"),
    ],
)
def test_a_wrong_reference_is_refused(tmp_path: Path, ref: dict[str, Any], said: str) -> None:
    config = from_subject(
        tmp_path, "http://127.0.0.1:9/x", Stub(url="http://127.0.0.1:9/sr"), **ref
    )
    problems, _ = examine([config])
    [problem] = problems
    assert "schema" in problem.place.key
    assert said in f"{problem}"


@pytest.mark.fault(26, by="a certificate of an authority that is not trusted")
@needs_openssl
async def test_a_registry_with_tls_is_trusted_through_its_ca_only(tmp_path: Path) -> None:
    ours, others = Authority(tmp_path), Authority(tmp_path, "others")
    own = server_context(ours.certificate("registry", "IP:127.0.0.1"))
    async with (
        registry(own) as stub,
        Replica([kit.item(1, second=1)], Shape(style="none")) as replica,
    ):
        stub.add("items-value", kit.SCHEMA)
        for tls in ({}, {"ca_file": str(others.cert)}):
            with pytest.raises(PermanentError, match="certificate"):
                await run(from_subject(tmp_path, replica.url, stub, tls=tls))
        assert stub.asked == []
        assert (
            await run(from_subject(tmp_path, replica.url, stub, tls={"ca_file": str(ours.cert)}))
        ).exit_code == 0
    assert kit.lake_ids(tmp_path) == [1]


@pytest.mark.fault(26, by="a certificate of another host")
@needs_openssl
async def test_a_certificate_of_another_host_is_refused(tmp_path: Path) -> None:
    ours = Authority(tmp_path)
    async with (
        registry(server_context(ours.certificate("registry", "DNS:registry.example.com"))) as stub,
        Replica([], Shape(style="none")) as replica,
    ):
        stub.add("items-value", kit.SCHEMA)
        with pytest.raises(PermanentError, match="certificate"):
            await run(from_subject(tmp_path, replica.url, stub, tls={"ca_file": str(ours.cert)}))
        assert stub.asked == []


@needs_openssl
async def test_a_registry_that_asks_for_a_certificate_of_the_client_gets_it(tmp_path: Path) -> None:
    ours = Authority(tmp_path)
    own, client = (
        ours.certificate("registry", "IP:127.0.0.1"),
        ours.certificate("worker", "DNS:worker"),
    )
    async with (
        registry(server_context(own, clients=ours.cert)) as stub,
        Replica([kit.item(1, second=1)], Shape(style="none")) as replica,
    ):
        stub.add("items-value", kit.SCHEMA)
        with pytest.raises(WorkerError):
            await run(from_subject(tmp_path, replica.url, stub, tls={"ca_file": str(ours.cert)}))
        assert stub.asked == []
        tls = {
            "ca_file": str(ours.cert),
            "cert_file": str(client.cert),
            "key_file": str(client.key),
        }
        assert (await run(from_subject(tmp_path, replica.url, stub, tls=tls))).exit_code == 0
    assert kit.lake_ids(tmp_path) == [1]
