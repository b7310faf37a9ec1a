"""Enum fields that no record could get: refused when the steps compile, so by `check`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from worker.core.errors import ConfigError
from worker.schema import compile_plan, parse_schema
from worker.transforms import mask
from worker.transforms.steps import compile_steps


class NoRows:
    """An encoder of nothing."""

    ext = "none"

    def begin(self, source: Any) -> None: ...

    def row(self, fields: Sequence[Any]) -> list[str]:
        return []


def schema(kind: Any) -> Any:
    return parse_schema(
        json.dumps(
            {
                "type": "record",
                "name": "R",
                "fields": [{"name": "id", "type": "long"}, {"name": "state", "type": kind}],
            }
        )
    )


ENUM = {"type": "enum", "name": "S", "symbols": ["open", "closed"]}
KINDS = pytest.mark.parametrize("kind", [ENUM, ["null", ENUM]], ids=["plain", "nullable"])


def compiled(kind: Any, *steps: tuple[str, Any], output: Any = None) -> None:
    plan = schema(kind)
    compile_steps(compile_plan(plan), steps, plan if output is None else schema(output), NoRows())


@KINDS
@pytest.mark.parametrize("method", ["hash", "redact", "last4"])
def test_an_enum_cannot_be_masked(kind: Any, method: str) -> None:
    step = mask.Config(fields=("state",), method=method, key="k")
    with pytest.raises(
        ConfigError, match=f"'state' is an enum .* {method} .*open, closed"
    ) as caught:
        compiled(kind, ("mask", step))
    assert caught.value.where == "transforms[0].mask"
    assert "output_schema" in caught.value.remedy
    compiled(kind, ("mask", step), output=["null", "string"])


@KINDS
def test_an_enum_cannot_be_set_to_a_text_that_is_no_symbol(kind: Any) -> None:
    with pytest.raises(
        ConfigError, match="'state' is set to 'opne', the output schema allows open, closed"
    ) as caught:
        compiled(kind, ("set", {"state": "'opne'"}))
    assert caught.value.where == "transforms[0].set"
    assert "did you mean 'open'?" in caught.value.remedy
    compiled(kind, ("set", {"state": "'closed'"}))
    compiled(kind, ("set", {"state": "str(id)"}))
