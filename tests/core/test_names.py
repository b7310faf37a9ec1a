"""A name says which commit made a file, and nothing else has such a name."""

from __future__ import annotations

import pytest

from worker.core.names import commit_of, lineage_of

LINEAGE, OTHER = "0123456789abcdef", "fedcba9876543210"


@pytest.mark.parametrize(
    ("place", "seq"),
    [
        (f"/lake/a=1/items-{LINEAGE}-000000000017-0001.avro", 17),
        (f"s3://lake/items-{LINEAGE}-1000000000017-10001.ndjson", 1_000_000_000_017),
        (f"/lake/items-{LINEAGE}-000000000017-0001.avro.crc", None),
        (f"/lake/items-{LINEAGE}-17-0001.avro", None),
        (f"/lake/other-{LINEAGE}-000000000017-0001.avro", None),
        (f"/lake/items-{LINEAGE[::-1]}-000000000017-0001.avro", None),
        (f"/lake/copy of items-{LINEAGE}-000000000017-0001.avro", None),
        (f"/lake/items-{LINEAGE}-000000000017-0001.avro/x", None),
        ("/lake/items.latest.json", None),
    ],
)
def test_the_number_in_a_name(place: str, seq: int | None) -> None:
    assert commit_of(place, "items", LINEAGE) == seq


@pytest.mark.parametrize(
    ("name", "pipeline", "lineage"),
    [
        (f"items-{LINEAGE}-000000000017-0001.avro", "items", LINEAGE),
        (f"items-{OTHER}-{LINEAGE}-000000000017-0001.avro", "items", None),
        (f"items-{OTHER}-{LINEAGE}-000000000017-0001.avro", f"items-{OTHER}", LINEAGE),
        ("items-000000000017-000000000017-0001.avro", "items", None),
        ("items-.avro", "items", None),
    ],
)
def test_the_lineage_in_a_name(name: str, pipeline: str, lineage: str | None) -> None:
    assert lineage_of(f"/lake/a=1/{name}", pipeline) == lineage
