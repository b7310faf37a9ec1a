"""Container files of one long field, whole and damaged in every way that is worth a name."""

from __future__ import annotations

import json
import zlib

from schema.reference import long_bytes

from worker.schema import compile_plan, parse_schema
from worker.schema.container import MAGIC, file_header, frame_block

CONTAINER_SCHEMA = json.dumps(
    {"type": "record", "name": "R", "fields": [{"name": "a", "type": "long"}]}
)
SYNC = bytes(range(16))
ROWS_A_BLOCK = 100
BOMB_BYTES = 64 * 1024 * 1024


def datums(rows: list[int]) -> bytes:
    plan = compile_plan(parse_schema(CONTAINER_SCHEMA))
    return plan.encode([plan.one(json.dumps({"a": number}).encode()) for number in rows])


def blocks(codec: str, rows: list[int]) -> list[bytes]:
    parts = [rows[start : start + ROWS_A_BLOCK] for start in range(0, len(rows), ROWS_A_BLOCK)]
    return [frame_block(len(part), datums(part), codec, SYNC) for part in parts]


def ours(codec: str, rows: list[int]) -> bytes:
    return file_header(CONTAINER_SCHEMA, codec, {"worker.seq": b"1"}, SYNC) + b"".join(
        blocks(codec, rows)
    )


def _raw(count: int, size: int, data: bytes) -> bytes:
    return long_bytes(count) + long_bytes(size) + data + SYNC


def damaged(kind: str, codec: str, rows: list[int]) -> tuple[bytes, int]:
    """(file, records that stand whole before the damage)."""
    header = file_header(CONTAINER_SCHEMA, codec, {}, SYNC)
    first, second, *rest = blocks(codec, rows)
    half = header + first
    plain = datums(rows[ROWS_A_BLOCK : 2 * ROWS_A_BLOCK])
    match kind:
        case "cut":
            return half + second[: len(second) // 2], ROWS_A_BLOCK
        case "flip":
            middle = len(second) // 2
            flipped = second[:middle] + bytes([second[middle] ^ 0xFF]) + second[middle + 1 :]
            if codec in (
                "null",
                "deflate",
            ):  # a codec without a checksum takes changed data: change what frames it
                flipped = second[:-1] + b"\xff"
            return half + flipped + b"".join(rest), ROWS_A_BLOCK
        case "magic":
            return b"PAR1" + (half + second)[4:], 0
        case "version":
            return b"Obj\x02" + (half + second)[4:], 0
        case "codec":
            return half.replace(b"null", b"lzma", 1), 0
        case "sync":
            return half + second[:-16] + bytes(16) + b"".join(rest), ROWS_A_BLOCK
        case "schema":
            return half.replace(b'"long"', b'"lung"', 1), 0
        case "count_too_small":
            return half + _raw(99, len(plain), plain), ROWS_A_BLOCK
        case "count_too_large":
            return half + _raw(101, len(plain), plain), ROWS_A_BLOCK
        case "negative_count":
            return half + _raw(-100, len(plain), plain), ROWS_A_BLOCK
        case "negative_size":
            return half + _raw(100, -1, plain), ROWS_A_BLOCK
        case "overlong":
            return half + b"\xff" * 11 + plain + SYNC, ROWS_A_BLOCK
        case "empty_file":
            return b"", 0
        case "header_cut":
            return header[:-1], 0
        case "huge_header":
            return MAGIC + long_bytes(1) + long_bytes(2**40) + bytes(100), 0
        case "bomb":
            stream = zlib.compressobj(9, wbits=-15)
            packed = stream.compress(bytes(BOMB_BYTES)) + stream.flush()
            return half + _raw(BOMB_BYTES, len(packed), packed), ROWS_A_BLOCK
    raise ValueError(kind)
