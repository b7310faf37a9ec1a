"""Errors say what happened, where, and what can be done; of several, the exit code of one decides."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from worker.core.errors import (
    AuthError,
    ConfigError,
    CursorStuck,
    DurabilityLost,
    Exit,
    Fenced,
    PermanentError,
    RecordsMissing,
    TransientError,
    WorkerError,
    deciding_error,
    flatten,
)
from worker.supervisor import Bug

DECIDING = [
    Exit.BUG,
    Exit.IO,
    Exit.BUSY,
    Exit.CONFIG,
    Exit.PERMISSION,
    Exit.UNAVAILABLE,
    Exit.DATA,
    Exit.FAILED,
]
ERRORS: list[WorkerError] = [
    Bug(),
    DurabilityLost(),
    AuthError(),
    TransientError(),
    RecordsMissing(),
    PermanentError(),
    Fenced(("default",)),
    ConfigError(),
]


def test_the_docstring_of_a_class_is_its_message_without_the_sections_of_the_code() -> None:
    assert TransientError().message == (
        "The other side failed in a way that may pass by itself. The request is tried again; when "
        "all attempts are spent, the partition is parked and is probed again later, while the "
        "others go on."
    )


def test_an_error_is_told_with_its_place_before_it_and_its_remedy_after_it() -> None:
    error = CursorStuck("no page brought anything", where="default", remedy="raise it")
    assert str(error) == "default: no page brought anything (raise it)"


def test_of_several_errors_the_one_that_stands_first_in_the_order_decides() -> None:
    found = []
    left = list(ERRORS)
    while left:
        decides = deciding_error(left[::-1])
        assert decides is not None
        found.append(decides.exit)
        left.remove(decides)
    assert found == DECIDING


def test_without_errors_nothing_decides() -> None:
    assert deciding_error([]) is None


trees = st.recursive(
    st.integers().map(ValueError),
    lambda inner: st.lists(inner, min_size=1, max_size=4).map(
        lambda some: ExceptionGroup("", some)
    ),
    max_leaves=10,
)


@given(trees)
def test_flatten_gives_the_errors_of_a_group_in_order_and_no_group(error: Exception) -> None:
    leaves = flatten(error)
    assert not any(isinstance(each, BaseExceptionGroup) for each in leaves)
    if isinstance(error, ExceptionGroup):
        assert leaves == [leaf for each in error.exceptions for leaf in flatten(each)]
    else:
        assert leaves == [error]
