"""Compatibility over lists of versions: what the levels mean, and that every datum can be read
where the check promises it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from schema import reference
from schema.strategies import Names, evolved, schemas
from schema.test_reference import quick

from worker.schema import CorruptDatum, DatumReader, Schema, parse_schema
from worker.schema.compat import LEVELS, Incompatibility, check, problems

Draw = Any
VALUES = (
    "utf-8",
    "decimal",
    "big-decimal",
)  # what depends on the value: bytes that are no text, text that is no decimal


def parsed(document: Any) -> Schema:
    return parse_schema(json.dumps(document))


@st.composite
def versions(draw: Draw) -> tuple[list[Any], Any]:
    """(documents, oldest first, each made of the one before; JSON values of the oldest)."""
    document, values = draw(schemas())
    documents, names = [document], Names()
    for _ in range(draw(st.integers(1, 4))):
        documents.append(draw(evolved(documents[-1], names)))
    return documents, values


@quick
@given(versions(), st.sampled_from(LEVELS))
def test_a_level_is_which_versions_are_compared_in_which_direction(drawn: Any, level: str) -> None:
    documents, _ = drawn
    *earlier, new = map(parsed, documents)
    compared = range(len(earlier)) if level.endswith("TRANSITIVE") else [len(earlier) - 1]
    expected = []
    for version in compared if level != "NONE" else []:
        if level.startswith(("BACKWARD", "FULL")):
            expected += [
                Incompatibility(version, "backward", each)
                for each in problems(earlier[version], new)
            ]
        if level.startswith(("FORWARD", "FULL")):
            expected += [
                Incompatibility(version, "forward", each)
                for each in problems(new, earlier[version])
            ]
    assert check(new, earlier, level) == expected


@quick
@given(versions())
def test_levels_imply_each_other(drawn: Any) -> None:
    documents, _ = drawn
    *earlier, new = map(parsed, documents)
    passed = {level for level in LEVELS if not check(new, earlier, level)}
    assert "NONE" in passed
    for level in ("BACKWARD", "FORWARD", "FULL"):
        assert f"{level}_TRANSITIVE" not in passed or level in passed
    for suffix in ("", "_TRANSITIVE"):
        assert (f"FULL{suffix}" in passed) == ({f"BACKWARD{suffix}", f"FORWARD{suffix}"} <= passed)
    assert not check(new, [], "FULL_TRANSITIVE")
    assert not check(new, [new], "FULL")


def _written(document: Any, values: Any, data: Any) -> bytes:
    slow = reference.Schema(document)
    try:
        return reference.encode(
            slow, slow.root, reference.from_json(slow, slow.root, data.draw(values))
        )
    except reference.Bad:  # an object that fits several branches
        assume(False)
        raise


@quick
@given(st.data())
def test_a_transitive_yes_is_kept_by_data_of_every_version(data: Any) -> None:
    """Data of the oldest version is read as the newest one that is said to read it."""
    documents, values = data.draw(versions())
    binary = _written(documents[0], values, data)
    *earlier, new = map(parsed, documents)
    said = check(new, earlier, "BACKWARD_TRANSITIVE")
    against = [each for each in said if each.version == 0]
    if any(not each.problem.some for each in against):
        return  # DatumReader refuses these: test_reference
    try:
        DatumReader(earlier[0], new).one(binary)
    except CorruptDatum:
        assert against or depends_on_values(documents[0], documents[-1], binary)


def depends_on_values(written: Any, read: Any, binary: bytes) -> bool:
    try:
        reference.Decoder(reference.Schema(written), reference.Schema(read), binary).run()
    except reference.Bad as bad:
        return str(bad) in VALUES
    return False


@quick
@given(st.data())
def test_a_forward_yes_is_kept_by_data_of_the_new_version(data: Any) -> None:
    document, values = data.draw(schemas())
    older = data.draw(evolved(document))  # a version that readers still have
    binary = _written(document, values, data)
    found = check(parsed(document), [parsed(older)], "FORWARD")
    assume(not found)
    try:
        DatumReader(parsed(document), parsed(older)).one(binary)
    except CorruptDatum:
        assert depends_on_values(document, older, binary)


def test_an_unknown_level_is_refused() -> None:
    with pytest.raises(ValueError, match="FULL_TRANSITIVE"):
        check(parsed("int"), [], "SIDEWAYS")
