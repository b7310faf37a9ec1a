"""The JSON document of a schema.

It is read strictly, apart from comments: Java's Avro library takes them, so schema files have them.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final, NoReturn

from worker.schema.errors import SchemaError

MAX_BYTES: Final = 1024 * 1024
_TEXT_OR_COMMENT: Final = r'"(?:[^"\\]++|\\.)*+(?:"|\Z)|//[^\r\n]*+|/\*.*?(?:\*/|\Z)'
"""A text or a comment, from its beginning to its end or that of the document. Each character is
looked at once, also in documents that were made to be slow. It is compiled for the first document
that may have a comment."""
_NOT_A_LINE_BREAK: Final = re.compile(r"[^\r\n]")


def read_document(text: str | bytes) -> Any:
    """The document of a schema; comments (`// ...` and `/* ... */`) count as white space.

    Raises:
        SchemaError: the text is no JSON document, an object in it has a key twice, or it is longer
            than MAX_BYTES.
    """
    if len(text) > MAX_BYTES:
        raise SchemaError("$", f"{len(text)} bytes, at most {MAX_BYTES} are allowed")
    try:
        if isinstance(text, bytes):
            text = text.decode(json.detect_encoding(text))
        if "//" in text or "/*" in text:
            text = re.sub(_TEXT_OR_COMMENT, _blank, text, flags=re.DOTALL)
        return json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise _no_document(error) from error


def document_text(document: Any) -> str:
    """The document as JSON text without white space.

    Raises:
        SchemaError: no JSON text can be made of it that every reader takes.
    """
    try:
        # 1e999 was read as infinity, which allow_nan refuses.
        text = json.dumps(document, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        text.encode()  # refuses lone surrogates
    except (ValueError, RecursionError) as error:
        raise _no_document(error) from error
    return text


def unwrapped(node: Any) -> Any:
    """A type of a schema that was parsed, without the wrappers `{"type": {...}}` in it.

    What else stands in a wrapper has no effect. Apache's library for Java refuses files with one.
    """
    if isinstance(node, list):
        return [unwrapped(each) for each in node]
    if not isinstance(node, dict):
        return node
    kind = node["type"]
    if isinstance(kind, dict | list):
        return unwrapped(kind)
    if kind in ("record", "error"):
        fields = [{**each, "type": unwrapped(each["type"])} for each in node["fields"]]
        return {**node, "fields": fields}
    inner = {"array": "items", "map": "values"}.get(kind)
    return {**node, inner: unwrapped(node[inner])} if inner else node


def _no_document(error: Exception) -> SchemaError:
    return SchemaError("$", f"no JSON document: {str(error)[:200]}")


def _blank(found: re.Match[str]) -> str:
    """Texts as they are, comments as white space, so that errors keep their line and column."""
    text = found[0]
    unended = text.startswith("/*") and not (len(text) >= 4 and text.endswith("*/"))
    if text.startswith('"') or unended:
        return text
    return _NOT_A_LINE_BREAK.sub(" ", text)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError(
            f"a key occurs twice in the object with the keys {', '.join(sorted(found))}"
        )
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON value")
