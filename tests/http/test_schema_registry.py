"""The client of schema registries against a real server: what it keeps, asks again and refuses."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from kit import auth_of
from registry_stub import Stub, registry

from worker.core.errors import (
    AuthError,
    Deferred,
    IncompatibleSchema,
    PermanentError,
    RegistryUnavailable,
    SchemaMismatch,
    WorkerError,
)
from worker.http.body import BodyLimits
from worker.http.client import HttpClient, Timeouts
from worker.http.schema_registry import RegistryClient
from worker.resilience.breaker import Breaker, BreakerSpec
from worker.resilience.gate import Gate
from worker.resilience.guard import Guard, RetrySpec
from worker.schema import parse_schema
from worker.schema.references import Definitions, parse_parts
from worker.state.schemas import SchemaFiles
from worker.testing.clock import FakeClock

ITEM = {"type": "record", "name": "Item", "fields": [{"name": "id", "type": "long"}]}


@asynccontextmanager
async def client(
    stub: Stub,
    tmp_path: Path,
    clock: FakeClock | None = None,
    *,
    store: bool = False,
    **options: Any,
) -> AsyncIterator[RegistryClient]:
    clock = clock or FakeClock()
    http = HttpClient(
        stub.url,
        user_agent="t",
        timeouts=Timeouts(),
        limits=BodyLimits(100_000, 100_000),
        connections=4,
        spool=tmp_path,
    )
    guard = Guard(
        RetrySpec(2, 0.01, 0.01),
        Breaker(BreakerSpec(min_calls=6)),
        Gate(),
        clock,
        lambda event: None,
    )
    async with http:
        yield RegistryClient(
            stub.url,
            http.fetch,
            guard,
            clock,
            store=SchemaFiles(tmp_path / "schemas") if store else None,
            **options,
        )


async def test_an_id_is_asked_for_once_however_many_wait(tmp_path: Path) -> None:
    async with registry() as stub, client(stub, tmp_path) as found:
        number = stub.add("items", ITEM)
        schemas = await asyncio.gather(*(found.by_id(number) for _ in range(20)))
        assert {each.source for each in schemas} == {parse_schema(json.dumps(ITEM)).source}
        stub.down = True
        await found.by_id(number)
        assert stub.asked == [f"GET /sr/schemas/ids/{number}"]


async def test_the_latest_version_is_asked_for_each_time_and_a_number_once(tmp_path: Path) -> None:
    async with registry() as stub, client(stub, tmp_path) as found:
        stub.add("a/b c", ITEM)
        assert (await found.by_subject("a/b c", "latest")).version == 1
        stub.add("a/b c", {**ITEM, "doc": "2"})
        latest = await found.by_subject("a/b c", "latest")
        assert (latest.version, latest.schema.document["doc"]) == (2, "2")
        for _ in range(2):
            assert "doc" not in (await found.by_subject("a/b c", 1)).schema.document
        assert stub.asked[-1] == "GET /sr/subjects/a%2Fb%20c/versions/1"
        assert len(stub.asked) == 3


async def test_an_unknown_id_is_asked_for_again_only_after_a_while(tmp_path: Path) -> None:
    clock = FakeClock()
    async with registry() as stub, client(stub, tmp_path, clock) as found:
        for _ in range(3):
            with pytest.raises(SchemaMismatch, match="the registry has no schemas/ids/1"):
                await found.by_id(1)
        assert len(stub.asked) == 1
        stub.add("items", ITEM)
        clock.advance(61)
        assert (await found.by_id(1)).root.name == "Item"


async def test_an_outage_is_felt_by_unknown_ids_only_and_opens_a_breaker(tmp_path: Path) -> None:
    async with registry() as stub, client(stub, tmp_path) as found:
        known = stub.add("items", ITEM)
        await found.by_id(known)
        stub.down = True
        with pytest.raises(RegistryUnavailable, match="does not answer: status 503"):
            await found.by_id(99)
        assert (await found.by_id(known)).root.name == "Item"
        for _ in range(4):
            with pytest.raises((RegistryUnavailable, Deferred)):
                await found.by_id(99)
        asked = len(stub.asked)
        with pytest.raises(Deferred, match="breaker"):
            await found.by_id(99)
        assert len(stub.asked) == asked


async def test_what_was_seen_outlives_the_process_and_a_torn_file_is_none(tmp_path: Path) -> None:
    async with registry() as stub:
        number = stub.add("items", ITEM)
        async with client(stub, tmp_path, store=True) as found:
            await found.by_id(number)
            await found.by_subject("items", "latest")
        stub.down = True
        async with client(stub, tmp_path, store=True) as found:
            assert (await found.by_id(number)).root.name == "Item"
            again = await found.by_subject("items", "latest")
            assert (again.version, again.schema.root.name) == (1, "Item")
            assert "503" in again.stale
            with pytest.raises(RegistryUnavailable):
                await found.by_subject("others", "latest")
        for path in (tmp_path / "schemas").iterdir():
            path.write_bytes(path.read_bytes()[:-9])
        async with client(stub, tmp_path, store=True) as found:
            with pytest.raises(RegistryUnavailable):
                await found.by_id(number)


async def test_an_open_breaker_gives_the_latest_version_that_was_seen_at_once(
    tmp_path: Path,
) -> None:
    async with registry() as stub, client(stub, tmp_path, store=True) as found:
        stub.add("items", ITEM)
        await found.by_subject("items", "latest")
        stub.down = True
        for _ in range(8):
            assert (await found.by_subject("items", "latest")).stale
        asked = len(stub.asked)
        assert "breaker" in (await found.by_subject("items", "latest")).stale
        assert len(stub.asked) == asked


async def test_references_are_put_in_place(tmp_path: Path) -> None:
    async with registry() as stub, client(stub, tmp_path) as found:
        stub.add("unit", {"type": "enum", "name": "a.b.Unit", "symbols": ["kg"]})
        unit = {"name": "a.b.Unit", "subject": "unit", "version": 1}
        stub.add(
            "weight",
            {
                "type": "record",
                "name": "Weight",
                "namespace": "a.b",
                "fields": [{"name": "unit", "type": "Unit"}],
            },
            references=[unit],
        )
        weight = {"name": "a.b.Weight", "subject": "weight", "version": 1}
        fields = [
            {"name": "w", "type": ["null", "a.b.Weight"]},
            {"name": "u", "type": "a.b.Unit"},
            {"name": "ws", "type": {"type": "array", "items": "a.b.Weight"}},
        ]
        number = stub.add(
            "items", {"type": "record", "name": "Item", "fields": fields}, references=[weight, unit]
        )
        schema = await found.by_id(number)
    assert parse_schema(schema.source) == schema  # it stands alone
    assert set(schema.named) == {"Item", "a.b.Weight", "a.b.Unit"}


async def test_references_in_a_circle_or_without_end_are_refused(tmp_path: Path) -> None:
    async with registry() as stub, client(stub, tmp_path) as found:
        for name, other in (("A", "B"), ("B", "A")):
            stub.add(
                name,
                {"type": "record", "name": name, "fields": [{"name": "x", "type": other}]},
                references=[{"name": other, "subject": other, "version": 1}],
            )
        with pytest.raises(SchemaMismatch, match="refers to itself"):
            await found.by_subject("A", 1)
        many = [
            {"name": f"T{number}", "subject": f"T{number}", "version": 1} for number in range(200)
        ]
        for number in range(200):
            stub.add(f"T{number}", {"type": "fixed", "name": f"T{number}", "size": 1})
        stub.add("many", ITEM, references=many)
        with pytest.raises(SchemaMismatch, match="more than 100"):
            await found.by_subject("many", 1)


@pytest.mark.parametrize(
    ("schema", "kind", "said"),
    [
        ('{"type": "object"}', "JSON", "is JSON, an Avro schema is needed"),
        ('{"type": "nonsense"}', "AVRO", "is no Avro schema"),
        ("[" * 50_000, "AVRO", "is no"),
    ],
)
async def test_what_is_no_avro_schema_is_refused(
    tmp_path: Path, schema: str, kind: str, said: str
) -> None:
    async with registry() as stub, client(stub, tmp_path) as found:
        stub.add("items", schema, kind=kind)
        with pytest.raises(SchemaMismatch, match=said):
            await found.by_subject("items", "latest")


@pytest.mark.parametrize("answer", [b"", b"<html>", b"[1]", b"\xff", b"[" * 90_000])
async def test_an_answer_that_is_none_counts_as_an_outage(tmp_path: Path, answer: bytes) -> None:
    async with registry() as stub, client(stub, tmp_path) as found:
        stub.answer = answer
        with pytest.raises(RegistryUnavailable):
            await found.by_id(1)
        assert len(stub.asked) == 2  # it was tried again


@pytest.mark.parametrize(
    ("given", "demanded"),
    [
        (auth_of("bearer", token="t0k"), "Bearer t0k"),
        (auth_of("basic", username="me", password="pw"), "Basic bWU6cHc="),
    ],
)
async def test_credentials_are_sent_and_their_refusal_has_its_name(
    tmp_path: Path, given: Any, demanded: str
) -> None:
    async with registry() as stub:
        stub.authorization = demanded
        number = stub.add("items", ITEM)
        async with client(stub, tmp_path, auth=given) as found:
            await found.by_id(number)
        async with client(stub, tmp_path) as found:
            with pytest.raises(AuthError, match="refuses the credentials"):
                await found.by_id(number)


@pytest.mark.parametrize(("status", "kind"), [(409, IncompatibleSchema), (422, PermanentError)])
async def test_what_a_registry_says_of_a_schema_that_it_does_not_take_is_passed_on(
    tmp_path: Path, status: int, kind: type[WorkerError]
) -> None:
    async with registry() as stub, client(stub, tmp_path) as found:
        stub.refuses_new = (status, "field x has no default")
        with pytest.raises(kind, match="field x has no default"):
            await found.register("items", parse_schema(json.dumps(ITEM)))


@pytest.mark.parametrize(
    "references",
    [
        5,
        {"a": 1},
        "text",
        [5],
        [{"name": "x"}],
        [{"name": "x", "subject": "s", "version": "latest"}],
    ],
)
async def test_references_that_are_none_are_refused(tmp_path: Path, references: Any) -> None:
    async with registry() as stub, client(stub, tmp_path) as found:
        stub.add("items", ITEM, references=references)
        with pytest.raises(
            SchemaMismatch, match=r"references that are no list|a reference without"
        ):
            await found.by_subject("items", 1)


@pytest.mark.parametrize("none", [{}, {"namespace": None}, {"namespace": ""}])
def test_a_referenced_type_keeps_its_namespace(none: dict[str, Any]) -> None:
    plain = {"type": "record", "name": "Plain", **none, "fields": []}
    root = {
        "type": "record",
        "name": "Root",
        "namespace": "n",
        "fields": [{"name": "p", "type": "Plain"}, {"name": "q", "type": "Plain"}],
    }
    definitions = Definitions()
    definitions.add(plain, "plain")
    schema = parse_parts(root, definitions, "root")
    assert set(schema.named) == {"n.Root", "Plain"}
