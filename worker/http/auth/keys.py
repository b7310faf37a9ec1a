"""The key `auth`: one kind of credentials, or a list of several that each request carries."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import Discriminator, Field, Tag

from worker.components import AUTH
from worker.config.chosen import ByType
from worker.http.auth import AuthConfig

_One = Annotated[AuthConfig, ByType(AUTH)]


def _number(value: Any) -> str:
    # no keys of the language: pydantic puts these words into the place of an error
    return "several kinds" if isinstance(value, list | tuple) else "one kind"


AuthKeys = Annotated[
    Annotated[_One, Tag("one kind")]
    | Annotated[tuple[_One, ...], Field(min_length=1), Tag("several kinds")],
    Discriminator(_number),
]


def paths_of(
    auth: AuthConfig | tuple[AuthConfig, ...] | None,
) -> Iterator[tuple[tuple[str | int, ...], AuthConfig]]:
    """(path of its keys, kind) of each kind of credentials."""
    if isinstance(auth, tuple):
        yield from ((("auth", number), each) for number, each in enumerate(auth))
    elif auth is not None:
        yield ("auth",), auth


def each_of(auth: AuthConfig | tuple[AuthConfig, ...] | None) -> tuple[AuthConfig, ...]:
    """The kinds of credentials, in their order."""
    return tuple(each for _, each in paths_of(auth))
