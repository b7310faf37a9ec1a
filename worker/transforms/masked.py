"""Which of the fields that come in end up in a field that is masked. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from worker.config.chosen import Step

_WORD: Final = re.compile(r"[A-Za-z_]\w*", re.ASCII)

Origins = Mapping[str, frozenset[str]]
"""Field of the record at some step -> the fields that came in which its value was made of."""


def masked_fields(steps: Sequence[Step], fields: Iterable[str]) -> frozenset[str] | None:
    """The fields that come in whose values a `mask` step hides, under whatever name it finds them.

    None where nobody knows them: behind a step that may make any field of any other, as `python`
    does, a value that is masked may have been anywhere in the record.
    """
    origins: Origins | None = {name: frozenset([name]) for name in fields}
    masked: frozenset[str] = frozenset()
    for verb, config in steps:
        if verb == "mask":
            if origins is None:
                return None
            masked = masked.union(*(origins[name] for name in config.fields))
        elif origins is not None:
            origins = _after(verb, config, origins)
    return masked


def _after(verb: str, config: Any, origins: Origins) -> Origins | None:
    """The origins of the fields behind a step; None where they cannot be known."""
    if verb in ("filter", "select", "drop"):
        return origins
    if verb == "rename":
        return {config.get(name, name): of for name, of in origins.items()}
    if verb == "set":
        return {**origins, **{name: _used(text, origins) for name, text in config.items()}}
    return None


def _used(expression: str, origins: Origins) -> frozenset[str]:
    """What an expression may be made of: a word in it that is a field is taken for that field."""
    words = set(_WORD.findall(expression))
    return frozenset().union(*(of for name, of in origins.items() if name in words))
