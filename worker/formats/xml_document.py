"""Reads an XML document as the values that its elements stand for; see `formats/xml.py`.

A document type may define entities that grow without end, or that read files: a document that has
one is refused. So are elements that are nested too deeply, and too many different names.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from typing import Any, Final
from xml.parsers import expat

import msgspec

from worker.core.errors import BadBody

MAX_DEPTH: Final = 200
MAX_NAMES: Final = 10_000
_ATTRIBUTES_OF_SCHEMAS: Final = "http://www.w3.org/2001/XMLSchema-instance"
_NIL: Final = f"{_ATTRIBUTES_OF_SCHEMAS} nil"


class _Open:
    """An element whose end has not come yet.

    Attributes:
        fields: what stands in it besides text; None for nothing.
        texts: None for none.
        on_way: it stands on the way to the records.
    """

    __slots__ = ("fields", "is_nil", "line", "name", "on_way", "texts")

    def __init__(self, name: str, on_way: bool, line: int) -> None:
        self.name, self.on_way, self.line = name, on_way, line
        self.fields: dict[str, Any] | None = None
        self.texts: list[str] | None = None
        self.is_nil = False

    def add(self, name: str, value: Any) -> None:
        """Adds an attribute or an element."""
        fields = self.fields
        if fields is None:
            self.fields = {name: value}
        elif name not in fields:
            fields[name] = value
        elif isinstance(there := fields[name], list):
            there.append(value)
        else:
            fields[name] = [there, value]

    def append(self, name: str, value: Any) -> None:
        """Adds an element to the array of its name, also a single one."""
        if self.fields is None:
            self.fields = {}
        self.fields.setdefault(name, []).append(value)

    @property
    def value(self) -> Any:
        """What the element stands for."""
        text = "" if self.texts is None else "".join(self.texts)
        if self.fields is None:
            return None if self.is_nil else text if text.strip() else ""
        if text := text.strip():
            self.fields["#text"] = text
        return self.fields


class XmlReader:
    """Reads one document, piece by piece.

    Args:
        keys: the names from the root to the records; empty where they are not looked for.
        each: the names from there to what are records then; empty: those at `keys` are.
        stay: the records stay where they are in the document, which has an array of them also
            where there is one; otherwise all of them are one array at `keys`.
        shape: what makes of a record, or of the document where there are no keys, what the schema
            has.

    Attributes:
        lines: where each record begins.
    """

    def __init__(
        self,
        keys: Sequence[str],
        shape: Callable[[Any], Any] | None,
        *,
        each: Sequence[str] = (),
        stay: bool = False,
    ) -> None:
        self._keys, self._each, self._shape, self._stay = tuple(keys), tuple(each), shape, stay
        self._way = (*keys, *each)
        self._is_there = False
        self._records: list[msgspec.Raw] = []
        self._empty_parent = False
        self.lines = array("L")
        self._open = [_Open("", True, 0)]
        self._names: dict[str, str] = {}
        parser = self._parser = expat.ParserCreate("utf-8", " ")
        parser.buffer_text = parser.ordered_attributes = True
        parser.StartDoctypeDeclHandler = _refuse_doctype
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text

    def feed(self, data: bytes) -> None:
        """Reads on. Raises BadBody for what is no XML."""
        self._parse(data, last=False)

    def close(self) -> bytes:
        """The document as JSON. Raises BadBody for one that has not ended."""
        self._parse(b"", last=True)
        self._let_go()
        document: Any = self._open[0].fields
        if self._keys:
            if not self._stay:
                _put(document, self._keys, self._found())
            elif self._empty_parent and not self._is_there:
                _put(document, self._keys, [])
        elif self._shape is not None:
            document = self._shape(document)
        return msgspec.json.encode(document)

    def _found(self) -> list[msgspec.Raw] | None:
        """The records; None where their path leads nowhere."""
        return self._records if self._records or self._empty_parent else None

    def _parse(self, data: bytes, *, last: bool) -> None:
        try:
            self._parser.Parse(data, last)
        except expat.ExpatError as error:
            self._let_go()
            raise BadBody(f"the body is no XML document: {error}") from error
        except BadBody:
            self._let_go()
            raise

    def _let_go(self) -> None:
        """The parser knows this object, which would be kept until somebody looks for circles."""
        parser = self._parser
        parser.StartElementHandler = parser.EndElementHandler = parser.CharacterDataHandler = None

    def _start(self, name: str, attributes: Sequence[str]) -> None:
        depth = len(self._open)
        if depth > MAX_DEPTH:
            raise BadBody(f"elements are nested more than {MAX_DEPTH} levels deep")
        local = self._names.get(name) or self._local(name)
        above, keys = self._open[-1], self._way
        on_way = above.on_way and depth <= len(keys) and keys[depth - 1] == local
        line = self._parser.CurrentLineNumber if on_way else 0
        element = _Open(local, on_way, line)
        self._open.append(element)
        for at in range(0, len(attributes), 2):
            if attributes[at] == _NIL:
                element.is_nil = attributes[at + 1].strip() in ("true", "1")
            else:
                element.add(f"@{self._local(attributes[at])}", attributes[at + 1])

    def _text(self, text: str) -> None:
        element = self._open[-1]
        if element.texts is None:
            element.texts = [text]
        else:
            element.texts.append(text)

    def _end(self, name: str) -> None:
        element = self._open.pop()
        value, depth, above = element.value, len(self._open), self._open[-1]
        if not element.on_way or depth < len(self._keys) - 1:
            above.add(element.name, value)
        elif depth == len(self._way):
            self._add_record(above, element, value)
        elif depth == len(self._keys):
            self._is_there = True
            above.append(element.name, self._item(value))
        else:
            if depth == len(self._keys) - 1:
                self._empty_parent |= not value or _has_attributes_alone(value)
            above.add(element.name, value)

    def _add_record(self, above: _Open, element: _Open, value: Any) -> None:
        record = value if self._shape is None else self._shape(value)
        self.lines.append(element.line)
        if self._stay:
            self._is_there = True
            above.append(element.name, record)
        else:
            self._records.append(msgspec.Raw(msgspec.json.encode(record)))

    def _item(self, value: Any) -> Any:
        """An element whose elements are records: it has an array of them also where it has none."""
        found = value or {}
        if isinstance(found, dict) and len(self._each) == 1:
            found.setdefault(self._each[0], [])
        return found

    def _local(self, name: str) -> str:
        """A name without the namespace that the parser puts before it."""
        if (local := self._names.get(name)) is None:
            if len(self._names) >= MAX_NAMES:
                raise BadBody(f"elements and attributes have more than {MAX_NAMES} names")
            local = self._names[name] = name.rpartition(" ")[2]
        return local


def _has_attributes_alone(value: Any) -> bool:
    return isinstance(value, dict) and all(name.startswith("@") for name in value)


def _put(document: dict[str, Any], keys: Sequence[str], records: list[msgspec.Raw] | None) -> None:
    """Puts the records where their path leads; of parents that are repeated, into the first one."""
    if records is None:
        return
    for key in keys[:-1]:
        inner = document.get(key)
        inner = inner[0] if isinstance(inner, list) else inner
        document[key] = document = inner if isinstance(inner, dict) else {}
    document[keys[-1]] = records


def _refuse_doctype(*_: object) -> None:
    raise BadBody("the document has a document type, which is not read: it may define entities")
