"""What a pipeline can promise; the tables of docs/delivery.md are compared with the same."""

from __future__ import annotations

import pytest

from worker.core.delivery import (
    COMPLETENESS,
    DELIVERY,
    TOKENS,
    ByOrder,
    completeness,
    delivery,
    require,
)
from worker.core.errors import ConfigError

APART = ByOrder(plain="of a plain pass", ascending="of an ascending one", other="of another")


@pytest.mark.parametrize(
    ("order", "level"),
    [
        (None, APART.plain),
        *(("ascending", APART.ascending), ("any", APART.other), ("descending", APART.other)),
    ],
)
@pytest.mark.parametrize("stable", [False, True])
def test_without_a_total_the_order_decides(order: str | None, level: str, stable: bool) -> None:
    assert completeness(APART, order, total=False, numbered=True, stable=stable) == level


@pytest.mark.parametrize("order", [None, "any"])
def test_a_stable_source_is_known_to_a_degree(order: str | None) -> None:
    for stable, level in ((False, "unknown"), (True, "assumed")):
        assert completeness(TOKENS, order, total=False, numbered=True, stable=stable) == level


@pytest.mark.parametrize("numbered", [False, True])
@pytest.mark.parametrize("stable", [False, True])
def test_a_total_proves_a_pass_unless_records_can_move(numbered: bool, stable: bool) -> None:
    level = completeness(APART, None, total=True, numbered=numbered, stable=stable)
    assert level == ("assumed" if numbered and not stable else "proven")


def test_records_below_the_bound_that_are_kept_come_more_than_once() -> None:
    assert (delivery(), delivery(keeps_late=True)) == ("exactly_once", "at_least_once")


@pytest.mark.parametrize(
    ("name", "scale"), [("delivery", DELIVERY), ("completeness", COMPLETENESS)]
)
def test_less_than_what_is_required_is_refused(name: str, scale: tuple[str, ...]) -> None:
    for place, computed in enumerate(scale):
        require(name, None, computed, scale)
        for required in scale[: place + 1]:
            require(name, required, computed, scale)
        for required in scale[place + 1 :]:
            with pytest.raises(ConfigError, match=f"{name} is {computed}, .* requires {required}"):
                require(name, required, computed, scale)
