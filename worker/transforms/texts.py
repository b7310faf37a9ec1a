"""What the text functions of expressions call at run time.

Patterns are those of RE2, whose time is linear in the text whatever the pattern (see
docs/decisions/0024-patterns-in-linear-time.md). No result is longer than `MOST_CHARS`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from typing import Any, Final

from worker.core.model import FieldError
from worker.core.ports import InvalidRecord
from worker.transforms.values import Misused, refuse

MOST_CHARS: Final = 1024 * 1024
"""Characters of a text that an expression makes: as many as a record may have bytes by default."""
MOST_FITS: Final = 50_000
"""Parts of one text that `regex_replace` replaces; so many hold the event loop for 0.2 s."""
_ESCAPE: Final = re.compile(r"\\(\\|\d|.|$)", re.DOTALL)


def joiner(place: str) -> Callable[..., str]:
    """Joins texts one after the other."""

    def concat(*parts: str) -> str:
        _check_size(sum(map(len, parts)), place)
        return "".join(parts)

    return concat


def list_joiner(place: str) -> Callable[[list[str | None], str], str]:
    """Joins the texts of an array with one text between them; null elements are left out."""

    def join(items: list[str | None], between: str) -> str:
        parts = [each for each in items if each is not None]
        size = sum(map(len, parts)) + len(between) * max(len(parts) - 1, 0)
        _check_size(size, place)
        return between.join(parts)

    return join


def replacer(place: str) -> Callable[[str, str, str], str]:
    """Replaces every occurrence of a text by another one; the empty text occurs nowhere."""

    def replace(text: str, old: str, new: str) -> str:
        if not old:
            return text
        if len(new) > len(old):
            _check_size(len(text) + text.count(old) * (len(new) - len(old)), place)
        return text.replace(old, new)

    return replace


def part(text: str, between: str, number: int) -> str | None:
    """The part of this number, from 0, of a text that is cut at `between`; null without one.

    A negative number counts from the end.
    """
    parts = text.split(between)
    return parts[number] if -len(parts) <= number < len(parts) else None


def slicer(place: str) -> Callable[..., str]:
    """A part of a text by its place."""

    def substr(text: str, start: int, length: int | None = None) -> str:
        first = start if start >= 0 else max(len(text) + start, 0)
        if length is None:
            return text[first:]
        if length < 0:
            raise refuse("conversion", place, length, "a length that is not negative")
        return text[first : first + length]

    return substr


def sha256(value: str | bytes) -> str:
    """The SHA-256 (FIPS 180-4) of a text in UTF-8 or of bytes, as 64 lower-case hex digits."""
    return hashlib.sha256(value.encode() if isinstance(value, str) else value).hexdigest()


# -- regular expressions -----------------------------------------------------------------------


def matcher(pattern: str) -> Callable[[str], bool]:
    """Whether a pattern fits some part of a text. Raises Misused for what is no pattern."""
    search = _compiled(pattern).search
    return lambda text: search(text) is not None


def pattern_replacer(pattern: str, new: str, place: str) -> Callable[[str], str]:
    r"""Replaces every part of a text that fits a pattern; `\1` stands for its first group.

    Raises Misused for what is no pattern or no replacement of it.
    """
    compiled = _compiled(pattern)
    pieces = _pieces(new, compiled.groups)

    def replace(text: str) -> str:
        made: list[str] = []
        size = at = 0
        for count, match in enumerate(compiled.finditer(text), 1):
            if count > MOST_FITS:
                raise _too_long(place, "more parts that fit", MOST_FITS)
            start, end = match.span()
            found = [text[at:start]]
            found += (each if isinstance(each, str) else match[each] or "" for each in pieces)
            size += sum(map(len, found))
            _check_size(size, place)
            made += found
            at = end
        _check_size(size + len(text) - at, place)
        return "".join([*made, text[at:]])

    return replace


def _pieces(new: str, groups: int) -> list[str | int]:
    """A replacement as literal texts and numbers of groups."""
    pieces: list[str | int] = []
    at = 0
    for escape in _ESCAPE.finditer(new):
        pieces.append(new[at : escape.start()])
        sign = escape[1]
        if sign.isdecimal() and int(sign) <= groups:
            pieces.append(int(sign))
        elif sign == "\\":
            pieces.append("\\")
        else:
            raise Misused(
                f"the replacement has {escape[0]!r}, and the pattern {groups} groups",
                r"write \1 for the first group, \0 for all that fits, \\ for a backslash",
            )
        at = escape.end()
    return [each for each in (*pieces, new[at:]) if each != ""]


def _compiled(pattern: str) -> Any:
    import re2  # what no expression needs is not loaded

    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        reason = error.args[0]
        said = reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
        raise Misused(
            f"the pattern {pattern!r} is none: {said}",
            "write a pattern of RE2: it has neither look-around nor back-references",
        ) from None


def _check_size(size: int, place: str) -> None:
    """Raises InvalidRecord for a result of too many characters."""
    if size > MOST_CHARS:
        raise _too_long(place, f"a result of {size} characters", MOST_CHARS)


def _too_long(place: str, found: str, most: int) -> InvalidRecord:
    errors = (FieldError(place, found, f"at most {most}"),)
    return InvalidRecord("too_long", errors, stage="transform")
