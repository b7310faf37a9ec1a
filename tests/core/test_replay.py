"""The pure middle: a recorded exchange gives the same bytes every time, without a loop."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import kit
import pytest

from worker.core.cursor import Cursor
from worker.core.model import Claim, Ledger
from worker.formats.json import JsonPages
from worker.formats.records import PageSpec, RecordSpec
from worker.paging.marks import MarkFormat
from worker.paging.planner import PartitionPlanner
from worker.paging.spec import Done, Fetch, IncrementalSpec, PagingSpec, Reply
from worker.runtime.flow import Flow
from worker.runtime.slices import at_once
from worker.schema import compile_plan, parse_schema
from worker.schema.encoding import AvroRows
from worker.sources.pagination import cursor
from worker.transforms.routes import route_parts
from worker.transforms.steps import compile_steps

PAGE = 7
STEPS = [
    ("filter", "value != 3"),
    ("set", {"value": "1000 // (value - 7)"}),
]  # one is filtered, one divides by zero


def recorded() -> dict[str | None, bytes]:
    """token -> body."""
    records = [kit.item(number, second=number // 4, bad=number % 9 == 4) for number in range(60)]
    pages: dict[str | None, bytes] = {}
    for start in range(0, len(records), PAGE):
        following = start + PAGE if start + PAGE < len(records) else None
        body = {"items": records[start : start + PAGE], "meta": {"next": following}}
        pages[str(start) if start else None] = json.dumps(body).encode()
    return pages


def replay(pages: dict[str | None, bytes]) -> list[Any]:
    spec = PageSpec(
        records="items",
        body_paths=("meta.next",),
        record=RecordSpec(value_path="updated_at", key_paths=("id",), identify=True),
    )
    plan = compile_plan(parse_schema(json.dumps(kit.SCHEMA)), extra=spec.record.extra_names())
    decoder = JsonPages(spec, plan)
    style = cursor.build(
        cursor.Config.model_validate(
            {"type": "cursor", "from": {"body": "meta.next"}, "to": {"param": "c"}}
        )
    )
    planner = PartitionPlanner(
        PagingSpec(style=style, once=True, incremental=IncrementalSpec("updated_at", MarkFormat())),
        Claim("p", 0, Cursor()),
    )
    shape = compile_steps(
        plan,
        STEPS,
        plan.schema,
        AvroRows(plan.schema),
        route_parts("region={region}", plan.fields),
    )
    flow = Flow(shape, plan.fingerprint)
    seen: list[Any] = []
    while not isinstance(todo := planner.next(0.0), Done):
        assert isinstance(todo, Fetch)
        body = pages[dict(todo.address.params or {}).get("c")]
        decoded = at_once(decoder.decode(body))
        for accepted in planner.accept(todo, Reply(decoded), 0.0):
            for part in flow.shape("p", accepted):
                seen.append((part.chunks, part.rejects, part.ledger, part.progress))
    return seen


def test_a_recorded_exchange_gives_identical_bytes_without_a_loop() -> None:
    with pytest.raises(RuntimeError, match="no running event loop"):
        asyncio.get_running_loop()
    pages = recorded()
    first = replay(pages)
    assert first == replay(pages)
    ledger = sum((part[2] for part in first), Ledger())
    assert ledger.balanced
    assert (ledger.received, ledger.filtered, ledger.dead_lettered) == (60, 1, 8)
