"""Runs the Avro engine on the cases in conformance/*.json: `make conformance` prints the results.

The exit code is 1 when a case fails. The cases are data; each file tells where they come from and
what is in them. This module tells what a case of each area means.
"""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import fastavro

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from schema.damage import CONTAINER_SCHEMA, SYNC, damaged, ours

from worker.core.ports import InvalidRecord
from worker.schema import (
    CorruptContainer,
    CorruptDatum,
    DatumReader,
    Limits,
    SchemaError,
    compile_plan,
    parse_schema,
)
from worker.schema.canonical import canonical_form, fingerprints
from worker.schema.compat import problems
from worker.schema.container import read_records
from worker.schema.document import read_document
from worker.schema.encoding import compile_datum_encoder
from worker.schema.references import Definitions, parse_parts
from worker.schema.single import SchemaStore, compile_single_encoder
from worker.schema.values import Branch

DATA = Path(__file__).parent / "conformance"
SMALL = Limits(inflated=1024 * 1024)
Case = dict[str, Any]


def parsed(schema: Any) -> Any:
    return parse_schema(json.dumps(schema))


def plain(value: Any, *, branches: bool = False) -> Any:
    """A datum as the cases write it."""
    if isinstance(value, Branch):
        return (
            {"branch": value.number, "value": plain(value.value)}
            if branches
            else plain(value.value)
        )
    if isinstance(value, bytes):
        return value.decode("latin-1")
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, list):
        return [plain(each) for each in value]
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    return value


def expect(found: Any, wanted: Any) -> None:
    if found != wanted or type(found) is not type(wanted):
        raise AssertionError(f"{found!r}, not {wanted!r}")


def parsing(case: Case) -> None:
    text = case["text"] if "text" in case else json.dumps(case["schema"])
    try:
        parse_schema(text)
    except SchemaError as error:
        expect(f"invalid at {error.path}", "valid" if case["valid"] else f"invalid at {case['at']}")
    else:
        expect(True, case["valid"])


def logical(case: Case) -> None:
    expect(parsed(case["schema"]).root.logical, case["logical"])


def canonical(case: Case) -> None:
    schema = parsed(case["schema"])
    prints = fingerprints(schema)
    if "canonical" in case:
        expect(canonical_form(schema), case["canonical"])
        expect(canonical_form(parse_schema(case["canonical"])), case["canonical"])
    if "crc64" in case:
        expect(prints["CRC-64-AVRO"], f"{case['crc64'] % 2**64:016x}")
    if "md5" in case:
        little_endian = int(prints["CRC-64-AVRO"], 16).to_bytes(8, "little").hex()
        expect(
            [little_endian, prints["MD5"], prints["SHA-256"]],
            [case["little_endian_crc64"], case["md5"], case["sha256"]],
        )


def splitting(case: Case) -> None:
    """Files in the order of the case, each JSON or, with comments, text; and in the other order."""
    for order in (list(case["files"]), list(case["files"])[::-1]):
        definitions = Definitions()
        try:
            for name in order:
                found = case["files"][name]
                document = read_document(found) if isinstance(found, str) else found
                definitions.add(document, name)
            schema = parse_parts(case["root"], definitions, "root")
        except SchemaError as error:
            expect(f"error in {error.where}", f"error in {case.get('error', 'no file')}")
            continue
        expect(canonical_form(schema), case.get("canonical"))
        expect(canonical_form(parse_schema(schema.source)), case["canonical"])


def compatibility(case: Case) -> None:
    expect(
        [
            [each.path, each.code]
            for each in problems(parsed(case["writer"]), parsed(case["reader"]))
        ],
        case["problems"],
    )


def resolution(case: Case) -> None:
    reader = DatumReader(parsed(case["writer"]), parsed(case["reader"]))
    try:
        value = reader.one(bytes.fromhex(case["hex"]))
    except CorruptDatum as error:
        expect(
            f"error at {error.path}",
            f"error at {case['error']}" if "error" in case else case["value"],
        )
    else:
        expect(plain(value), case["value"])


def json_values(case: Case) -> None:
    schema = {"type": "record", "name": "Root", "fields": [{"name": "a", "type": case["type"]}]}
    plan = compile_plan(parsed(schema), **case.get("policy", {}))
    try:
        record = plan.one(b'{"a": ' + case["json"].encode() + b"}")
    except InvalidRecord as error:
        expect(
            f"refused: {error.errors}",
            f"refused: {error.errors}" if "refused" in case else case["value"],
        )
        return
    if "refused" in case:
        raise AssertionError(f"{record.f0!r} was taken")
    wide = isinstance(record.f0, Branch)
    datum = DatumReader(plan.schema, branches=True).one(plan.encode([record]))["a"]
    if case["type"] != "float" and not (wide and isinstance(datum.value, float)):
        expect(
            plain(datum, branches=True) if wide else _like(plain(datum), case["value"]),
            case["value"],
        )


def _like(found: Any, wanted: Any) -> Any:
    """Decimals come back with the scale of their type: equal, but written otherwise."""
    if isinstance(found, str) and isinstance(wanted, str) and found != wanted:
        try:
            return wanted if Decimal(found) == Decimal(wanted) else found
        except ArithmeticError:
            return found
    return found


def binary(case: Case) -> None:
    schema, data = parsed(case["schema"]), bytes.fromhex(case["hex"])
    try:
        value = DatumReader(schema, branches=True).one(data)
    except CorruptDatum as error:
        expect(
            f"error at {error.path}",
            f"error at {case['error']}" if "error" in case else case["value"],
        )
        return
    expect(plain(value), case["value"])
    if "read_only" not in case:
        expect(compile_datum_encoder(schema)(value).hex(), case["hex"])


def framing(case: Case) -> None:
    store = SchemaStore()
    schema = parsed(case["schema"])
    store.add(schema)
    data = bytes.fromhex(case["single_object"])
    try:
        value = store.read(data)
    except CorruptDatum as error:
        expect(f"refused: {error}", f"refused: {error}" if "error" in case else case["value"])
        return
    expect(value, case["value"])
    expect(compile_single_encoder(schema)(value).hex(), case["single_object"])


def containers(case: Case) -> None:
    rows, codec = list(range(case["rows"])), case["codec"]
    records = [{"a": number} for number in rows]
    if "damage" in case:
        data, good = damaged(case["damage"], codec, rows)
        read = []
        try:
            for record in read_records(io.BytesIO(data), "file", limits=SMALL):
                read.append(record["a"])
        except CorruptContainer as error:
            expect(read, rows[: len(read)])
            expect(good <= len(read) < len(rows), True)
            expect(error.where, "file")
            return
        raise AssertionError("the damage was not noticed")
    file = ours(codec, rows)
    expect(list(read_records(io.BytesIO(file))), records)
    expect(list(fastavro.reader(io.BytesIO(file))), records)
    theirs = io.BytesIO()
    fastavro.writer(
        theirs,
        fastavro.parse_schema(json.loads(CONTAINER_SCHEMA)),
        records,
        codec=codec,
        sync_marker=SYNC,
    )
    theirs.seek(0)
    expect(list(read_records(theirs)), records)


AREAS: dict[str, Callable[[Case], None]] = {
    "parsing": parsing,
    "logical": logical,
    "canonical": canonical,
    "splitting": splitting,
    "compatibility": compatibility,
    "resolution": resolution,
    "json_values": json_values,
    "binary": binary,
    "containers": containers,
    "framing": framing,
}


def cases(area: str) -> list[Case]:
    found: list[Case] = json.loads((DATA / f"{area}.json").read_text())["cases"]
    return found


def failure(area: str, case: Case) -> str | None:
    """Why a case fails; None when it passes. An exception that the case does not expect is a
    failure too."""
    try:
        AREAS[area](case)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return None


def main() -> int:
    failures, total = [], 0
    print(f"{'area':16}{'cases':>8}{'passed':>8}")
    for area in AREAS:
        found = [(case, why) for case in cases(area) if (why := failure(area, case)) is not None]
        count = len(cases(area))
        total += count
        failures += [(area, *each) for each in found]
        print(f"{area:16}{count:8}{count - len(found):8}")
    print(f"{'all':16}{total:8}{total - len(failures):8}")
    for area, case, why in failures:
        print(f"\n{area}: {json.dumps(case)[:400]}\n  {why[:400]}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
