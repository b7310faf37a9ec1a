"""A pipeline's steps and its encoder as one generated function: records -> encoded rows per route.

The steps run once, when the config is loaded, over *columns*, which know the source of their value.
The result is one loop over the records that loads the fields it needs, tests the filters, computes
what was set, names the route and appends the encoded row. No record is built in between. Only a
`python` step builds a dict, and what it returns becomes columns again.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

from worker.core.errors import ConfigError
from worker.core.found import Wanted
from worker.core.model import FieldError
from worker.core.ports import InvalidRecord, Shaping
from worker.schema.codegen import CodeBuilder, compile_function
from worker.schema.model import NO_DEFAULT, Field, Schema, Type, is_nullable, is_wide
from worker.transforms.context import Contexts
from worker.transforms.kinds import STR, Kind, kind_of, same_values
from worker.transforms.lists import Taken, entry, found_of
from worker.transforms.outputs import convert
from worker.transforms.routes import Part, shared_segments
from worker.transforms.terms import Term, lift


class RowEncoder(Protocol):
    """Makes the source of the row of an output record (an Avro datum, a JSON line)."""

    ext: str

    def begin(self, code: CodeBuilder) -> None:
        """Called once, before any row, with the code that will contain the rows."""

    def row(self, fields: Sequence[tuple[Field, str, bool]]) -> str:
        """An expression for the bytes of a row.

        Args:
            fields: each field, the source of its value, and whether records in it are Structs.
        """


class Plan(Protocol):
    """What is known of the incoming records."""

    @property
    def schema(self) -> Schema: ...
    @property
    def typed_fields(self) -> Sequence[bool]: ...


@dataclass(frozen=True, slots=True)
class Column:
    """A field of the record at some step.

    Attributes:
        code: the source of its value.
        local: the source is the name of a local.
        kind, nullable: of its value.
        type: its schema type while it has its incoming value; None once it was computed.
        struct_like: records in it are Structs, not dicts.
        made_by: the step that set or renamed it, so that it must end up in the output.
        optional: a python step may have left it out; then its code raises InvalidRecord.
        made_in, key: of what a python step returned: the local that has it, and its key there.
    """

    code: str
    kind: Kind
    nullable: bool
    type: Type | None = None
    struct_like: bool = False
    local: bool = False
    made_by: str = ""
    optional: bool = False
    made_in: str = ""
    key: str = ""


_INDENT: Final = "    "
PARTITION: Final = "partition."
ENVELOPE: Final = "envelope."


class Program:
    """The function while it is being generated, and the `Scope` of its expressions."""

    def __init__(self, plan: Plan, output: Schema, contexts: Contexts | None = None) -> None:
        self._contexts = contexts or Contexts()
        self._told = False
        self.schema, self.output = plan.schema, output
        self.code = CodeBuilder()
        self.columns: dict[str, Column] = {
            each.name: Column(
                f"r.f{number}",
                kind_of(each.type, plan.schema),
                is_nullable(each.type),
                each.type,
                plan.typed_fields[number],
            )
            for number, each in enumerate(plan.schema.root.fields)
        }
        self._came = dict(self.columns)
        self._shapes: dict[str, tuple[Type, bool]] = {}
        self._lines: list[str] = []
        self._sources: list[str] = []
        self._depth = 3
        self._temps = 0
        self._marks = False
        self.expands = False
        self.step = ""
        self.source = ""

    # -- Scope ------------------------------------------------------------------------------------

    def names(self) -> list[str]:
        return list(self.columns)

    def column(self, name: str) -> Term:
        column = self.columns[name]
        if not column.local:
            column = self.columns[name] = replace(column, code=self.local(column.code), local=True)
        return self._value(column)

    def _value(self, column: Column) -> Term:
        if column.kind.name == "record" and column.type is not None:
            self._shapes[column.code] = (self.schema.value_type(column.type), column.struct_like)
        term = Term(column.code, column.kind, column.nullable, atom=True)
        return self._seen(term, column.type)

    def member(self, record: Term, source: str, name: str) -> Term:
        kind, struct_like = self._shapes[record.code]
        number, field = next(
            ((number, each) for number, each in enumerate(kind.fields) if each.name == name),
            (-1, None),
        )
        if field is None:
            raise KeyError(name)
        found = lift(
            self,
            [record],
            kind_of(field.type, self.schema),
            lambda x: f"{x}.f{number}" if struct_like else f"{x}[{name!r}]",
            nullable=is_nullable(field.type),
        )
        term = Term(
            self.local(found.code), found.kind, found.nullable or is_nullable(field.type), atom=True
        )
        if found.kind.name == "record":
            self._shapes[term.code] = (self.schema.value_type(field.type), struct_like)
        return self._seen(term, field.type)

    def _seen(self, term: Term, kind: Type | None) -> Term:
        """A value as expressions see it: null is None in a union of several types too, where the
        encoder wants it as a `Branch`."""
        if kind is None or not is_wide(kind) or not is_nullable(kind):
            return term
        x = term.code
        return replace(term, code=self.local(f"None if {x} is None or {x}.value is None else {x}"))

    def context(self, name: str) -> Term:
        if name not in self.contexts():
            raise KeyError(name)
        if name.startswith(PARTITION):
            self._told = True
            value = name.removeprefix(PARTITION)
            return Term(self.local(f"context.partition[{value!r}]"), STR, atom=True)
        # a step may have changed or dropped the field, but not what came
        column = self._came[name.removeprefix(ENVELOPE)]
        return self._value(replace(column, code=self.local(column.code)))

    def contexts(self) -> list[str]:
        came = (name for name in self._contexts.envelope if name in self._came)
        return [
            *(f"{PARTITION}{name}" for name in self._contexts.names),
            *(f"{ENVELOPE}{name}" for name in came),
        ]

    def temp(self) -> str:
        self._temps += 1
        return f"t{self._temps}"

    def bind(self, value: Any) -> str:
        return self.code.bind(value)

    # -- what steps do ----------------------------------------------------------------------------

    def line(self, text: str) -> None:
        """A statement at the present depth; a record that fails in it is told the `source`."""
        self._lines.append(f"{_INDENT * self._depth}{text}")
        self._sources.append(self.source)

    @contextmanager
    def written_as(self, source: str) -> Iterator[None]:
        """What is added inside comes from this source: an expression as the user wrote it."""
        self.source = source
        yield
        self.source = ""

    def local(self, code: str) -> str:
        """A fresh local that holds the value of `code`."""
        name = self.temp()
        self.line(f"{name} = {code}")
        return name

    def require(self, names: Iterable[str]) -> None:
        """Raises ConfigError for a name that is no field at this step."""
        for name in names:
            if name not in self.columns:
                close = difflib.get_close_matches(name, self.columns, 1)
                hint = f"did you mean {close[0]!r}? " if close else ""
                raise ConfigError(
                    f"there is no field {name!r}",
                    where=self.step,
                    remedy=f"{hint}fields: {', '.join(sorted(self.columns))}",
                )

    def assign(self, name: str, term: Term) -> None:
        """Sets a field to the value of a term."""
        code = term.code if term.atom else self.local(term.code)
        self.columns[name] = Column(code, term.kind, term.nullable, local=True, made_by=self.step)

    def keep_if(self, condition: str) -> None:
        """Goes on only with records for which the source is true."""
        self.line(f"if not {condition}:")
        if not self.expands:
            self.line(f"{_INDENT}filtered += 1")
        self.line(f"{_INDENT}continue")

    def expand(
        self,
        function: Callable[..., list[dict[str, Any]]],
        columns: Mapping[str, Column],
        *,
        told: bool,
    ) -> None:
        """Gives the record to `function` as a dict, and goes on with each dict that it returns.

        Args:
            columns: the fields of the returned dicts.
            told: the function takes the context of the record too.
        """
        self._told = self._told or told
        context = ", context" if told else ""
        if not self.expands:
            self.line("pending = []")
        self.expands = True
        record = self.temp()
        self.line(f"for {record} in {self.bind(function)}({{{self._items()}}}{context}):")
        self._depth += 1
        self.columns = {
            name: replace(column, code=f"{record}[{name!r}]", made_in=record, key=name)
            for name, column in columns.items()
        }

    def _items(self) -> str:
        """The fields of the record as source of the items of a dict.

        What an earlier function left out stays out.
        """
        left: dict[str, dict[str, str]] = {}
        items = []
        for name, column in self.columns.items():
            if column.optional and not column.local:
                left.setdefault(column.made_in, {})[name] = column.key
            else:
                items.append(f"{name!r}: {column.code}")
        return ", ".join((*items, *(f"**{made}.given({names!r})" for made, names in left.items())))

    # -- the end ----------------------------------------------------------------------------------

    def finish(
        self,
        encoder: RowEncoder,
        route: Sequence[Part],
        *,
        fill: bool,
        lists: Sequence[Wanted] = (),
    ) -> Shaper:
        """The compiled function.

        Args:
            lists: what other pipelines look for in the records.
            route: the parts of the route of a record; empty when all records have the same.
            fill: an output field that gets no value is null where its type allows that.

        Raises:
            ConfigError: an output field gets no value, or a value of another type, or a field was
                set that is not in the output.
        """
        output = self.output
        self._check_made(output)
        encoder.begin(self.code)
        fields = []
        for each in output.root.fields:
            code, struct_like = self._output(each, output, fill=fill)
            fields.append((each, code, struct_like))
        key = self._route(route, {each.name: code for each, code, _ in fields})
        row = encoder.row(fields)
        if lists:
            row = self.local(row)
            taken = [self.local(self._taken(*each)) for each in enumerate(lists)]
        add = "add" if not route else f"groups[{key}]"
        self.line(f"pending.append(({key}, {row}))" if self.expands else f"{add}({row})")
        if lists:
            self.line(f"found += ({', '.join(taken)},)")
        head = self._head(hoist=not route, finds=bool(lists))
        text = "".join(f"{line}\n" for line in (*head, *self._lines, *self._tail()))
        function = compile_function("shape", text, self.code)
        contexts = self._contexts if self._told else None
        first_line = function.__code__.co_firstlineno + len(head)
        names = [each.list for each in lists]
        return Shaper(function, dict(enumerate(self._sources, first_line)), contexts, names)

    def _taken(self, number: int, wanted: Wanted) -> str:
        there = {each.name for each in self.output.root.fields}
        paths = (wanted.field, *wanted.carry)
        if lacking := [path for path in paths if path.partition(".")[0] not in there]:
            raise ConfigError(
                f"pipeline {wanted.by} finds partitions in {', '.join(lacking)}, which is no "
                "field of the output",
                remedy=f"fields: {', '.join(sorted(there))}",
            )
        return entry(self, number, wanted)

    def _head(self, *, hoist: bool, finds: bool) -> list[str]:
        head = ["def shape(records, groups, wrong, received, context, found):"]
        head.append("    filtered = expanded = 0")
        if self.code.opening:
            head.append(f"    {self.code.opening}")
        if hoist and not self.expands:
            head.append("    add = groups['']")
        self._marks = finds and self.expands  # an item that is refused takes the others with it
        mark = ["        mark = len(found)"] if self._marks else []
        return [*head, "    for i, r in enumerate(records):", *mark, "        try:"]

    def _tail(self) -> list[str]:
        return [
            *(_FLUSH if self.expands else ()),
            f"        except {self.bind(_REJECTED)} as error:",
            *(["            del found[mark:]"] if self._marks else []),
            "            wrong.append((i, error))",
            "    return filtered, expanded",
        ]

    def _check_made(self, output: Schema) -> None:
        names = [each.name for each in output.root.fields]
        for name, column in self.columns.items():
            if column.made_by and name not in names:
                close = difflib.get_close_matches(name, names, 1)
                hint = f"did you mean {close[0]!r}? " if close else ""
                raise ConfigError(
                    f"{name!r} is set but is no field of the output schema",
                    where=column.made_by,
                    remedy=f"{hint}name the new shape with output_schema",
                )

    def _output(self, field: Field, output: Schema, *, fill: bool) -> tuple[str, bool]:
        column = self.columns.get(field.name)
        if column is None:
            return self._absent(field, output, fill=fill), False
        if column.type is not None and same_values(column.type, self.schema, field.type, output):
            return column.code, column.struct_like
        return convert(
            self,
            field,
            self.column(field.name),
            output,
            column.made_by or f"output field {field.name}",
        ), False

    def _absent(self, field: Field, output: Schema, *, fill: bool) -> str:
        if field.default is not NO_DEFAULT and not isinstance(field.default, list | dict):
            return self.bind(field.default)
        if is_nullable(field.type) and fill and output.value_type(field.type).kind != "union":
            return "None"
        raise ConfigError(
            f"the output field {field.name!r} gets no value",
            where="output_schema",
            remedy="set it, keep it, give it a default, or name the new shape with output_schema",
        )

    def _route(self, route: Sequence[Part], codes: Mapping[str, str]) -> str:
        if not route:
            return "''"
        parts = []
        for literal, name, segment in route:
            if literal:
                parts.append(repr(literal))
            if name:
                code = self.context(name).code if name.startswith(PARTITION) else codes[name]
                parts.append(f"{self.bind(segment)}[{code}]")
        code = " + ".join(parts)
        shared = shared_segments(route)
        return code if shared is None else f"{self.bind(shared)}[{code}]"


_FLUSH: Final = [
    "            for key, row in pending:",
    "                groups[key](row)",
    "            if pending:",
    "                expanded += len(pending) - 1",
    "            else:",
    "                filtered += 1",
]


_REJECTED: Final = (InvalidRecord, ZeroDivisionError, OverflowError)
_MEANING: Final = {
    ZeroDivisionError: ("division_by_zero", "a division by zero"),
    OverflowError: ("overflow", "a result beyond 64 bits"),
}


class _Groups(dict[str, Callable[[bytes], None]]):
    """route -> the function that appends to its rows."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: dict[str, list[bytes]] = {}

    def __missing__(self, route: str) -> Callable[[bytes], None]:
        rows = self.rows[route] = []
        add: Callable[[bytes], None] = rows.append
        self[route] = add
        return add


class Shaper:
    """The compiled function as a `Shape`.

    Args:
        sources: line of the function -> the source of it that a reject names, where it has one.
        contexts: makes what the function calls `context`; None where nothing asks for it.
        lists: the names of the lists for which it takes values.
    """

    def __init__(
        self,
        function: Callable[..., tuple[int, int]],
        sources: Mapping[int, str],
        contexts: Contexts | None,
        lists: Sequence[str] = (),
    ) -> None:
        self._function, self._sources, self._contexts = function, sources, contexts
        self._lists = lists

    def __call__(self, records: Sequence[Any], received: int, partition: str = "") -> Shaping:
        """Encodes finished records.

        Args:
            received: when their page came, in microseconds since 1970.
            partition: that they came from.
        """
        groups = _Groups()
        wrong: list[tuple[int, Exception]] = []
        context = None if self._contexts is None else self._contexts(partition, received)
        taken: list[Taken] = []
        filtered, expanded = self._function(records, groups, wrong, received, context, taken)
        chunks = [(route, len(rows), b"".join(rows)) for route, rows in groups.rows.items() if rows]
        refused = [(index, self._reason(error)) for index, error in wrong]
        found = found_of(taken, self._lists) if taken else ()
        return Shaping(chunks, refused, filtered, expanded, found)

    def _reason(self, error: Exception) -> InvalidRecord:
        if isinstance(error, InvalidRecord):
            return error
        code, what = _MEANING[type(error)]  # type: ignore[index]
        line = error.__traceback__.tb_lineno if error.__traceback__ else 0
        source = self._sources.get(line) or "$"
        found = FieldError(source, what, "a number that can be represented")
        return InvalidRecord(code, (found,), stage="transform")
