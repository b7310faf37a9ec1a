"""A record of a dead letter that was never JSON, where JSON could not say which record it was.

It is the word `avro`, the end of a line, and a JSON array of three: the record as JSON for people,
its datum as base64, and the schema that wrote the datum. No source of JSON can send that as a
record: it is no JSON value, and a line of NDJSON has no end of a line in it.
"""

from __future__ import annotations

import base64
from typing import Final, NamedTuple

import msgspec

from worker.schema.model import Schema, by_kind, types_in

_START: Final = b"avro\n["


class Stored(NamedTuple):
    """A record in this form.

    Attributes:
        shown: the record as JSON, for people.
        datum: of the writer's schema.
        writer: that schema, as JSON text.
    """

    shown: bytes
    datum: bytes
    writer: bytes


def store(shown: bytes, datum: bytes, writer: Schema) -> bytes:
    """A record in this form, as JSON text."""
    text = base64.b64encode(datum)
    return b'%s%s,"%s",%s]' % (_START, shown, text, writer.source.encode())


def stored(raw: bytes) -> Stored | None:
    """A record in this form; None for what has another one."""
    if not raw.startswith(_START):
        return None
    try:
        shown, datum, writer = msgspec.json.decode(raw[len(_START) - 1 :], type=_Form)
        return Stored(bytes(shown), base64.b64decode(datum, validate=True), bytes(writer))
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None


def shown(raw: bytes) -> bytes:
    """What people are shown of a record, whatever its form."""
    found = stored(raw)
    return raw if found is None else found.shown


_Form = tuple[msgspec.Raw, str, msgspec.Raw]


# -- which schemas need it ------------------------------------------------------------------------


def json_tells(schema: Schema) -> bool:
    """Whether the JSON form of a datum tells the branch of every union.

    That is so where no two branches of a union look alike in JSON.
    """
    for kind in types_in(schema):
        looks = [look for each in kind.branches for look in _LOOKS[schema.resolve(each).kind]]
        if len(set(looks)) < len(looks):
            return False
    return True


_LOOKS: Final = by_kind(
    {
        "null": ("null",),
        "boolean": ("boolean",),
        "int long": ("whole",),
        "float double": ("number", "text"),  # NaN and infinities are text
        "string enum bytes fixed": ("text",),
        "array": ("array",),
        "record map": ("object",),
        "union": (),  # no branch is a union
    }
)
"""Kind of a type -> what its values look like as JSON (see json_form.py). Logical types of bytes
and fixed are text, those of int and long are whole numbers."""
