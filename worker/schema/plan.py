"""The plan: a schema compiled once for everything that a pipeline does with it (the `Plan` port of
core/ports.py)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from operator import attrgetter
from typing import Any

import msgspec
from msgspec.structs import fields

from worker.core.model import MISSING, Doubt, FieldError
from worker.core.ports import InvalidRecord
from worker.schema.canonical import fingerprint
from worker.schema.checks import Checks
from worker.schema.encoding import compile_encoder
from worker.schema.errors import CorruptData, SchemaError
from worker.schema.kept import HIDDEN, compile_rest, hidden, without_field
from worker.schema.limits import Limits
from worker.schema.model import Field, Policy, Schema, Type, is_decimal, is_nullable, types_in
from worker.schema.no_json import no_json_values
from worker.schema.parse import parse_schema
from worker.schema.plan_reader import PlanReader
from worker.schema.sizes import recursive_names
from worker.schema.spellings import AS_USUAL, Place, Spellings
from worker.schema.stored import Stored, stored
from worker.schema.typed import Types, record_struct
from worker.schema.values import QuickCheck, known_number, plain_number, read_number


@dataclass(frozen=True, slots=True)
class FieldInfo:
    """A top-level field of a record schema.

    Attributes:
        type: the kind of its type, null left out; `union` when several other branches are left.
        logical: its logical type, if any.
    """

    name: str
    type: str
    logical: str | None
    nullable: bool


@dataclass(frozen=True, slots=True)
class _Checked:
    """A field whose values are checked after the typed decode.

    Attributes:
        attribute: where the decoded record has its value.
        path: of the field, for errors.
        fill: gives an absent field its datum.
        quick: the check, when it handles many records at once.
    """

    attribute: str
    path: str
    check: Callable[[Any, str, list[FieldError]], Any]
    fill: Callable[[str, list[FieldError]], Any]
    quick: QuickCheck | None


class CompiledPlan:
    """A compiled schema; the `Plan` port documents its methods.

    Args:
        extra: JSON names outside the schema whose values are kept for facts.
        kept: the field of the schema that keeps what the schema lacks; empty for none.

    Attributes:
        keep: puts what the schema lacks of a record, of its JSON text, into that field; None
            without one. Raises msgspec.DecodeError for what is no JSON.
        keep_text: the same of a text of what it lacks.
        incoming: the schema that Avro records are read as.
    """

    def __init__(
        self, schema: Schema, policy: Policy, extra: Collection[str], kept: str = ""
    ) -> None:
        schema = hidden(schema, kept) if kept else schema
        root = schema.root
        all_types = Types(schema, policy)
        checks = Checks(schema, policy, all_types)
        place = policy.spellings.root
        types = [
            str | None if each.json_name == HIDDEN else all_types.field(each, place)
            for each in root.fields
        ]
        known = {each.json_name for each in root.fields}
        self._extra = sorted(set(extra) - known)
        self._bytes_as = policy.bytes_as
        self._writers: dict[bytes, PlanReader] = {}
        self._strict = policy.unknown_fields == "reject"
        self._type = record_struct(root, types, policy, self._extra)
        self._exact = not policy.tagged and any(map(is_decimal, types_in(schema)))
        self._decode, self._decode_untyped = self.decoder(self._type), self.decoder(Any)
        self._whole, self._doubts = checks.check(root, place), checks.doubts
        typed = tuple(inner is not None for inner in types)
        self._checked = [
            _checked(f"f{number}", each, checks, place)
            for number, each in enumerate(root.fields)
            if not typed[number]
        ]
        self._attributes = _attributes(root, self._extra)
        self._typed_attributes = {f"f{number}" for number, inner in enumerate(typed) if inner}
        self._may_be_absent = {
            each.name for each in fields(self._type) if each.default is msgspec.UNSET
        }
        self.fields = field_infos(schema)
        self.fingerprint = fingerprint(schema)
        self.schema_json = schema.source
        self.schema = schema
        self.typed_fields = typed
        self.incoming = schema
        self.keep: Callable[[Any, bytes], None] | None = None
        self.keep_text: Callable[[Any, str | None], None] | None = None
        if kept:
            self._keep_in(kept, checks, policy)
        self.encode: Callable[[Sequence[Any]], bytes] = compile_encoder(schema, self.typed_fields)

    def _keep_in(self, kept: str, checks: Checks, policy: Policy) -> None:
        schema, attribute = self.schema, self._attributes[HIDDEN]
        rest = compile_rest(schema, checks.branch_of, tagged=policy.tagged)

        def keep(record: Any, raw: bytes) -> None:
            left = rest(raw.strip())
            setattr(record, attribute, None if left is None else left.decode())

        self.keep = keep
        self.keep_text = partial(_set, attribute)
        if schema.root.name not in recursive_names(schema):
            self.incoming = without_field(schema, kept)

    @property
    def record_type(self) -> Any:
        return self._type

    def decoder(self, form: Any) -> Callable[[Any], Any]:
        hook = read_number if self._exact else None
        return msgspec.json.Decoder(form, float_hook=hook).decode

    def finish(self, records: list[Any]) -> list[tuple[int, tuple[FieldError, ...]]]:
        """Checks field by field what msgspec's types could not, and puts the datums in place."""
        wrong: dict[int, list[FieldError]] = {}
        for each in self._checked:
            attribute, path, check, fill = each.attribute, each.path, each.check, each.fill
            errors: list[FieldError] = []
            quick = each.quick
            rest = range(len(records)) if quick is None else quick.quick(records, attribute)
            for index in rest:
                record = records[index]
                value = getattr(record, attribute)
                datum = fill(path, errors) if value is msgspec.UNSET else check(value, path, errors)
                if errors:
                    wrong.setdefault(index, []).extend(errors)
                    errors.clear()
                else:
                    setattr(record, attribute, datum)
        if self._strict and self._extra:
            self._refuse_extra(records, wrong)
        return [(index, tuple(errors)) for index, errors in sorted(wrong.items())]

    def _refuse_extra(self, records: list[Any], wrong: dict[int, list[FieldError]]) -> None:
        """A field that is read only for the mark or the key is still unknown to the schema."""
        for index, record in enumerate(records):
            unknown = [
                name
                for number, name in enumerate(self._extra)
                if getattr(record, f"x{number}") is not msgspec.UNSET
            ]
            if unknown:
                found = f"unknown fields {', '.join(unknown)}"
                error = FieldError("$", found, "the fields of the schema")
                wrong.setdefault(index, []).append(error)

    def one(self, raw: bytes) -> Any:
        if (datum := stored(raw)) is not None:
            return self._stored(datum)
        try:
            document = self._decode_untyped(raw)
            errors: list[FieldError] = []
            self._whole(document, "$", errors)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
            reason = FieldError("$", "no JSON value", str(error)[:200])
            raise InvalidRecord("no_json", no_json_values(raw) or (reason,)) from error
        if errors:
            raise InvalidRecord("invalid", tuple(errors))
        try:
            record = self._decode(raw)
        except msgspec.ValidationError as error:
            reason = FieldError("$", "a value of another type", str(error)[:200])
            raise InvalidRecord("invalid", (reason,)) from error
        if invalid := self.finish([record]):
            raise InvalidRecord("invalid", invalid[0][1])
        if self.keep is not None:
            self.keep(record, raw)
        return record

    def _stored(self, record: Stored) -> Any:
        """The record of a datum; raises InvalidRecord as `one`."""
        try:
            reader = self._writers.get(record.writer)
            if reader is None:
                writer = parse_schema(record.writer, strict=False)
                reader = PlanReader(
                    writer,
                    self,
                    limits=Limits(),
                    record_bytes=Limits().datum,
                    bytes_as=self._bytes_as,
                )
                self._writers = {record.writer: reader}  # letters of one writer come together
            part = reader.part(record.datum, 0, 1, [0, 0, Limits().empty])
        except (SchemaError, CorruptData) as error:
            reason = FieldError("$", f"a datum that cannot be read: {error}", "a stored record")
            raise InvalidRecord("invalid", (reason,)) from error
        if (bad := part.unreadable) is not None:
            reason = FieldError(bad.path, bad.reason, "a value of the schema")
            raise InvalidRecord("invalid", (reason,))
        if part.end != len(record.datum):
            raise InvalidRecord("invalid", (FieldError("$", "more than a datum", "one datum"),))
        return part.records[0]

    def doubts(self) -> dict[str, Doubt]:
        return self._doubts.take()

    def keeps_digits(self, path: tuple[str, ...]) -> bool:
        return self._exact and self._attributes[path[0]] not in self._typed_attributes

    def raw_column(
        self, path: tuple[str, ...], *, known: bool = False
    ) -> Callable[[Sequence[Any]], list[Any]]:
        attribute, rest = self._attributes[path[0]], path[1:]
        read = attrgetter(attribute)
        always_there = not rest and attribute not in self._may_be_absent
        exact, number = self.keeps_digits(path), known_number if known else plain_number

        def column(records: Sequence[Any]) -> list[Any]:
            found = list(map(read, records))
            if exact:
                found = list(map(number, found))
            for key in rest:
                found = [_member(value, key) for value in found]
            if always_there or msgspec.UNSET not in found:
                return found
            return [MISSING if value is msgspec.UNSET else value for value in found]

        return column


def _attributes(root: Type, extra: Collection[str]) -> dict[str, str]:
    """JSON name -> the attribute of a decoded record that has its value."""
    found = {each.json_name: f"f{number}" for number, each in enumerate(root.fields)}
    return found | {name: f"x{number}" for number, name in enumerate(extra)}


def _checked(attribute: str, each: Field, checks: Checks, place: Place) -> _Checked:
    check = checks.check(each.type, place.field(each.json_name))
    return _Checked(
        attribute,
        f"$.{each.json_name}",
        check,
        checks.filler(each),
        check if isinstance(check, QuickCheck) else None,
    )


def _set(attribute: str, record: Any, text: str | None) -> None:
    setattr(record, attribute, text)


def _member(value: Any, key: str) -> Any:
    if isinstance(value, dict):
        return value.get(key, msgspec.UNSET)
    if isinstance(value, msgspec.Struct):
        names = dict(zip(value.__struct_encode_fields__, value.__struct_fields__, strict=True))
        return getattr(value, names[key]) if key in names else msgspec.UNSET
    return msgspec.UNSET


def field_infos(schema: Schema) -> dict[str, FieldInfo]:
    """Name -> top-level field of a record schema."""
    return {each.name: _info(schema, each.name, each.type) for each in schema.root.fields}


def _info(schema: Schema, name: str, kind: Type) -> FieldInfo:
    inner = schema.value_type(kind)
    return FieldInfo(name, inner.kind, inner.logical, kind.kind == "union" and is_nullable(kind))


def require_record(schema: Schema, where: str = "") -> None:
    """Raises SchemaError unless the root of the schema is a record.

    Args:
        where: what the schema is called.
    """
    if schema.root.kind == "record":
        return
    of_several = "of a list of types name one: schema: {file: FILE, name: NAME}"
    raise SchemaError(
        "$",
        f"the root is {schema.root.kind}, a record is needed",
        remedy=of_several if schema.root.kind == "union" else "",
        where=where,
    )


def compile_plan(
    schema: Schema,
    *,
    unknown_fields: str = "drop",
    missing_fields: str = "fill",
    bytes_as: str = "latin1",
    tagged: bool = False,
    spellings: Spellings = AS_USUAL,
    extra: Collection[str] = (),
    kept: str = "",
) -> CompiledPlan:
    """Compiles a schema whose root is a record.

    Args:
        unknown_fields, missing_fields, bytes_as, tagged, spellings: see Policy.
        extra: JSON names outside the schema whose values are kept for facts.
        kept: the field of the schema that keeps what the schema lacks; empty for none.

    Raises:
        SchemaError: the root is no record, or its types nest too deeply.
    """
    require_record(schema)
    try:
        policy = Policy(unknown_fields, missing_fields, bytes_as, tagged, spellings)
        return CompiledPlan(schema, policy, extra, kept)
    except RecursionError as error:
        raise SchemaError("$", "types refer to each other too deeply") from error
