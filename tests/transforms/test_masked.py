"""Which fields that come in are masked, whatever they are called where the mask finds them."""

from __future__ import annotations

from typing import Any

import pytest

from worker.config.chosen import Step
from worker.transforms import mask
from worker.transforms.masked import masked_fields


def masked(*fields: str) -> Any:
    return ("mask", mask.Config(fields=fields, method="redact"))


@pytest.mark.parametrize(
    ("steps", "found"),
    [
        ([], set()),
        ([("drop", ("a",))], set()),
        ([masked("a", "b")], {"a", "b"}),
        ([("rename", {"a": "x"}), masked("x")], {"a"}),
        ([("rename", {"a": "b", "b": "a"}), masked("b")], {"a"}),
        ([("set", {"x": "concat(a, 'of b', lower(c))"}), masked("x")], {"a", "b", "c"}),
        ([("set", {"a": "b"}), masked("a")], {"b"}),
        ([("set", {"x": "a"}), ("rename", {"x": "y"}), ("set", {"z": "y"}), masked("z")], {"a"}),
        ([("filter", "a == b"), ("select", ("c",)), masked("c")], {"c"}),
        ([masked("a"), ("python", object())], {"a"}),
        ([("python", object()), masked("a")], None),
        ([masked("b"), ("of another package", object()), masked("a")], None),
    ],
)
def test_the_fields_that_a_mask_hides(steps: list[Step], found: set[str] | None) -> None:
    assert masked_fields(steps, ["a", "b", "c"]) == found
