"""The scalar types of the config language, each with its JSON Schema for editors."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
    WithJsonSchema,
)

from worker.config.model import unfit
from worker.core.errors import ConfigError
from worker.core.jsonpath import compile_path

DURATION_PATTERN: Final = r"^\d{1,12}(\.\d{1,9})?(ms|s|m|h|d)$"
SIZE_PATTERN: Final = r"^\d{1,15}(B|KiB|MiB|GiB)?$"
NAME_PATTERN: Final = r"^[a-z0-9][a-z0-9_-]{0,62}$"
URL_PATTERN: Final = r"^https?://[^/?#\s]+"
LONGEST_S: Final = 36_500 * 86_400.0

_DURATION: Final = re.compile(r"(\d{1,12}(?:\.\d{1,9})?)(ms|s|m|h|d)", re.ASCII)
_SIZE: Final = re.compile(r"(\d{1,15})(B|KiB|MiB|GiB)?", re.ASCII)
_SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_BYTES: Final = {None: 1, "B": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}
_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
"""`token` of RFC 9110, 5.6.2: what the name of a header, or of a cookie, may be."""


# YAML has types, so `true` is no number and "5" is none either: what looks like a mistake is one.
Whole = Annotated[int, Field(strict=True)]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Flag = Annotated[bool, Field(strict=True)]
Scalar = str | Whole | Number | Flag
"""A value of a query parameter."""


def _kind_of_values(value: Any) -> str:
    return "several" if isinstance(value, list | tuple) else "one"


def _one_or_several(value: Any) -> Any:
    return value[0] if isinstance(value, tuple) and len(value) == 1 else value


ParamValue = Annotated[
    Annotated[Scalar, Tag("one")]
    | Annotated[tuple[Scalar, ...], Field(min_length=1), Tag("several")],
    Discriminator(_kind_of_values),
    AfterValidator(_one_or_several),
]
"""What a query parameter says: a value, or several, each of which repeats the parameter. A list of
one value is that value."""

Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]


# -- durations and sizes ---------------------------------------------------------------------------


def duration_seconds(value: Any) -> float:
    """Seconds of a text like `30s`; ValueError for anything else."""
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    seconds = float(match[1]) * _SECONDS[match[2]] if match else -1.0
    if not 0 <= seconds <= LONGEST_S:
        raise ValueError("a duration like 500ms, 30s, 5m, 1h or 7d is needed")
    return seconds


def duration_text(seconds: float) -> str:
    """A duration as it is written in a config."""
    units = ((86_400, "d"), (3_600, "h"), (60, "m"), (1, "s"))
    return next(
        (f"{seconds / unit:.0f}{name}" for unit, name in units if seconds and seconds % unit == 0),
        f"{seconds * 1000:g}ms",
    )


def size_bytes(value: Any) -> int:
    """Bytes of a text like `64KiB` or of a whole number; ValueError for anything else."""
    match = (
        _SIZE.fullmatch(str(value))
        if isinstance(value, str | int) and not isinstance(value, bool)
        else None
    )
    if match is None:
        raise ValueError("a size like 64KiB, 128MiB or 1GiB is needed")
    return int(match[1]) * _BYTES[match[2]]


def unit_field(default: str | None, *, description: str) -> Any:
    """A field of a duration or size whose default is text with its unit.

    The reference shows `30s` then, and not 30.0.
    """
    return Field(default, validate_default=True, description=description)


_DURATION_SCHEMA: Final = WithJsonSchema(
    {
        "type": "string",
        "pattern": DURATION_PATTERN,
        "description": "a duration: 500ms, 30s, 5m, 1h, 7d",
    }
)
_SIZE_SCHEMA: Final = WithJsonSchema(
    {
        "anyOf": [{"type": "string", "pattern": SIZE_PATTERN}, {"type": "integer", "minimum": 0}],
        "description": "a size: 64KiB",
    }
)

Duration = Annotated[float, BeforeValidator(duration_seconds), _DURATION_SCHEMA]
"""Text like `30s` -> seconds."""

PositiveDuration = Annotated[
    float, BeforeValidator(duration_seconds), Field(gt=0), _DURATION_SCHEMA
]

Size = Annotated[int, BeforeValidator(size_bytes), Field(gt=0), _SIZE_SCHEMA]
"""Text like `64KiB` -> bytes."""


# -- places in requests and responses --------------------------------------------------------------


def _jmespath(value: Any) -> Any:
    if isinstance(value, str):
        try:
            compile_path(value)
        except ConfigError as error:
            raise ValueError(f"{error.message}; {error.remedy}") from error
    return value


JmesPath = Annotated[str, BeforeValidator(_jmespath)]
"""A path into a body or a record that compiles."""


def _zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError("a time zone like UTC or Europe/Berlin is needed") from error
    return value


ZoneName = Annotated[str, AfterValidator(_zone)]
"""The name of a time zone."""


def _write_path(value: str) -> str:
    if not all(value.split(".")):
        raise unfit(
            f"{value!r} is no path to write to: a key of it is empty",
            allowed="plain keys and indexes of arrays are allowed, with one dot between two of "
            "them, like search.after and requests.0.offset",
            remedy="take the superfluous dot out",
        )
    return value


WritePath = Annotated[str, AfterValidator(_write_path)]
"""Where a value is written in a JSON body: plain keys, and indexes of arrays, with dots between
them."""

ParamName = Annotated[str, Field(min_length=1)]
"""The name of a query parameter."""


def token_name(value: str, what: str) -> str:
    """The name of a header or a cookie as it is.

    Raises `unfit` for what no request can carry as such a name.
    """
    if not _TOKEN.fullmatch(value):
        raise unfit(
            f"this is no name of a {what}",
            allowed="letters, digits and !#$%&'*+-.^_`|~ are allowed in it",
            remedy="write the name alone, without spaces and without the colon after it",
        )
    return value


HeaderName = Annotated[str, AfterValidator(lambda value: token_name(value, "header"))]
"""A field name of RFC 9110, 5.1."""


_FRAMING: Final = frozenset(
    {
        "connection",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""Headers that say where a request goes and where it ends (RFC 9110, 7.2, 7.6.1, 8.6)."""


def sent_header(value: str) -> str:
    """The name of a header that may carry a value as it is.

    Raises `unfit` for one that belongs to the connection.
    """
    if value.lower() in _FRAMING:
        raise unfit(
            f"the header {value} belongs to the connection and is set by it",
            allowed="any other header is allowed",
            remedy="name the header that the source documents",
        )
    return value


SentHeaderName = Annotated[HeaderName, AfterValidator(sent_header)]
"""The name of a header that carries a value of ours."""


def _configured_header(value: str) -> str:
    return value if value.lower() == "host" else sent_header(value)


ConfiguredHeaderName = Annotated[HeaderName, AfterValidator(_configured_header)]
"""The name of a header of the config; Host may name a virtual host."""

_NO_HEADER: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]")


def header_value(value: str) -> str:
    """The value of a header as it is. Raises `unfit` for line ends and control characters."""
    if _NO_HEADER.search(value):
        raise unfit(
            "a header is one line without control characters",
            allowed="printable characters, spaces and tabs are allowed in it",
            remedy="take line ends out, also the one at the end",
        )
    return value


HeaderValue = Annotated[str, AfterValidator(header_value)]


def without_fragment(value: str) -> str:
    """The URL or path as it is; ValueError where a part of it would never be sent."""
    if "#" in value:
        raise ValueError("what stands behind # is never sent: write %23 where it is part of a name")
    return value


def checked_url(value: str) -> str:
    """The URL as it is; ValueError when nothing can be asked there."""
    try:
        parts = urlsplit(value)
        usable = bool(parts.hostname) and not re.search(r"\s", parts.netloc) and parts.port != 0
    except ValueError as error:
        raise ValueError(f"no URL: {error}") from error
    if not usable:
        raise ValueError("no URL: a host is needed, and a port from 1 to 65535 if there is one")
    if "@" in parts.netloc:
        raise ValueError(
            "no credentials in a URL, which messages and the state show: use auth: {type: "
            "basic, username: ..., password: {env: NAME}}"
        )
    if "{" in parts.netloc:
        raise ValueError(
            "placeholders stand behind the host only: limits and credentials belong to one "
            "origin; write one pipeline a host"
        )
    return without_fragment(value)


Url = Annotated[str, Field(pattern=URL_PATTERN), AfterValidator(checked_url)]
