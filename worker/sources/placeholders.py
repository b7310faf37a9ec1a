"""The placeholders `{partition.NAME}` and `{mark}` in the texts of a source. Pure.

A value that is filled in is data. In a URL it is percent-encoded for its place: in the path it is
one segment, or several with `{partition.NAME:path}`, and in the query it is a value. In parameters,
headers and bodies it is text, which is encoded with the whole.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Final, NamedTuple

from worker.core.errors import PermanentError
from worker.core.urls import in_path, in_query, in_segment

_PLACEHOLDER: Final = re.compile(r"\{(?:partition\.(?P<name>[^{}:]*)(?P<path>:path)?|mark)\}")
_ANY_PARTITION: Final = re.compile(r"\{partition\.([^{}:]*)(:[^{}]*)?\}")
_DOTS: Final = (".", "..")

Fill = Callable[[str], str]
Encode = Callable[[str], str]


class PartitionPlace(NamedTuple):
    """A placeholder of a partition.

    Attributes:
        form: what stands behind the name: `:path`, something that is not known, or nothing.
    """

    name: str
    form: str


def partitions_in(text: str) -> Iterator[PartitionPlace]:
    """The placeholders of partitions in a text."""
    for name, form in _ANY_PARTITION.findall(text):
        yield PartitionPlace(name, form)


def filler(values: Mapping[str, str], mark: str) -> Fill:
    """Fills the placeholders of a text with the values as they are."""
    return lambda text: _filled(text, values, mark, _plain, _plain)


def filled_url(url: str, values: Mapping[str, str], mark: str) -> str:
    """A URL whose placeholders are filled.

    Raises PermanentError where a value would make a segment that leads elsewhere: `.`, `..` or
    nothing.
    """
    path, question, query = url.partition("?")
    origin, slash, below = _split_path(path)
    segments = [_segment(each, values, mark) for each in below.split("/")] if slash else []
    query = _filled(query, values, mark, in_query, in_query)
    return f"{origin}{slash}{'/'.join(segments)}{question}{query}"


def in_path_of(url: str) -> Iterator[PartitionPlace]:
    """The placeholders of partitions in the path of a URL."""
    return partitions_in(url.partition("?")[0])


def _split_path(url: str) -> tuple[str, str, str]:
    """(origin, `/` or nothing, path behind it) of a URL without its query."""
    scheme, joint, rest = url.partition("://")
    host, slash, below = rest.partition("/")
    return f"{scheme}{joint}{host}", slash, below


def _segment(template: str, values: Mapping[str, str], mark: str) -> str:
    """One segment of a template; with `:path` it may become several."""
    filled = _filled(template, values, mark, in_segment, in_path)
    if filled == template:
        return filled
    from_partition = any(True for _ in partitions_in(template))
    for part in filled.split("/"):
        if part in _DOTS or (part == "" and from_partition):
            raise PermanentError(
                f"{template} in source.url would become {filled!r}, which names another place",
                remedy="a segment of a path is not empty, and neither . nor ..; take that value "
                "out of the partitions, or send it as a parameter",
            )
    return filled


def _filled(
    text: str, values: Mapping[str, str], mark: str, encode: Encode, encode_path: Encode
) -> str:
    """All placeholders at once: braces in a value are data."""

    def value(match: re.Match[str]) -> str:
        name = match["name"]
        if name is None:
            return encode(mark)
        if name not in values:
            return match[0]
        return (encode_path if match["path"] else encode)(values[name])

    return _PLACEHOLDER.sub(value, text) if "{" in text else text


def _plain(text: str) -> str:
    return text
