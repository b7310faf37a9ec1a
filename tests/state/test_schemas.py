"""Schemas that are kept in files; what else a registry's store does is tested with its client."""

from __future__ import annotations

from pathlib import Path

from worker.state.schemas import MAX_BYTES, SchemaFiles


async def test_a_schema_is_read_back_unless_its_file_is_longer_than_is_read(tmp_path: Path) -> None:
    store = SchemaFiles(tmp_path / "made")
    assert await store.get("a") is None
    await store.put("a", "x" * 1_000)
    assert await store.get("a") == "x" * 1_000
    (file,) = (tmp_path / "made").iterdir()
    around = file.stat().st_size - 1_000
    await store.put("a", longest := "x" * (MAX_BYTES - around))
    assert file.stat().st_size == MAX_BYTES == 4 << 20
    assert await store.get("a") == longest
    await store.put("a", longest + "x")
    assert await store.get("a") is None
