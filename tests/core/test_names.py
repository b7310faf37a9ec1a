"""A name says which commit made a file, and nothing else has such a name."""

from __future__ import annotations

import pytest

from worker.core.names import commit_of

LINEAGE = "0123456789abcdef"


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
