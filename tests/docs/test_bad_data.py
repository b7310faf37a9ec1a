"""The outcomes that docs/bad-data.md names, over real HTTP: one page each, of one good record and
something bad.
"""

from __future__ import annotations

import json
from pathlib import Path

import kit
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from worker.app import run_async
from worker.settings import load_settings

GOOD = json.dumps(kit.item(0, second=0))
OTHER = json.dumps(kit.item(1, second=1))
BAD_BODY, NO_RECORDS = 69, 65


def page(*records: str) -> bytes:
    return ('{"items": [' + ", ".join(records) + "]}").encode()


BODIES = [
    ("not_json", b"oops{", BAD_BODY),
    ("html", b"<html><body>maintenance</body></html>", BAD_BODY),
    ("empty", b"", BAD_BODY),
    ("utf16_cut", page(GOOD).decode().encode("utf-16")[:-1], BAD_BODY),
    ("bytes_behind_the_end", page(GOOD) + b"x", BAD_BODY),
    ("nan_beside_the_records", page(GOOD)[:-1] + b', "x": NaN}', BAD_BODY),
    ("lone_surrogate_beside_the_records", page(GOOD)[:-1] + rb', "x": "\ud800"}', BAD_BODY),
    ("cut_at_a_lone_surrogate", page(GOOD, OTHER.replace('"b"', r'"\ud800"'))[:-2], BAD_BODY),
    ("garbage_between_records", page(GOOD, "oops", OTHER), BAD_BODY),
    ("depth", b"[" * 100_000, BAD_BODY),
    (
        "depth_beside_the_records",
        page(GOOD)[:-1] + b', "x": ' + b"[" * 5_000 + b"]" * 5_000 + b"}",
        BAD_BODY,
    ),
    ("null", b"null", NO_RECORDS),
    ("number", b"42", NO_RECORDS),
    ("error_object", b'{"error": "x"}', NO_RECORDS),
    ("records_are_an_object", b'{"items": {}}', NO_RECORDS),
]
RECORDS = [
    ("wrong_type", [OTHER.replace('"value": 1', '"value": "1"')], ["invalid"]),
    ("fraction", [OTHER.replace('"value": 1', '"value": 1.0')], ["invalid"]),
    ("boolean", [OTHER.replace('"value": 1', '"value": true')], ["invalid"]),
    ("out_of_range", [OTHER.replace('"value": 1', '"value": 99999999999999999999')], ["invalid"]),
    ("beyond_floats", [OTHER.replace('"value": 1', '"value": 1e400')], ["no_json"]),
    ("nan", [OTHER.replace('"value": 1', '"value": NaN')], ["no_json"]),
    ("lone_surrogate", [OTHER.replace('"b"', r'"\ud800"')], ["no_json"]),
    (
        "lone_surrogates_among_scalars",
        ["1", r'{"x": "\ud800"}', "null", r'"\ud800"'],
        ["invalid", "no_json", "invalid", "no_json"],
    ),
    ("no_records", ["null", "1", '"x"', "[]"], ["invalid"] * 4),
    ("too_deep", ['{"x": ' + "[" * 5_000 + "]" * 5_000 + "}"], ["nested_too_deep"]),
    ("too_large", ['{"id": 5, "x": "' + "a" * 1_100_000 + '"}'], ["record_too_large"]),
]


async def run(directory: Path, body: bytes) -> tuple[int, list[int], list[str]]:
    """Exit code, ids in the lake, codes of dead letters."""

    async def items(request: web.Request) -> web.Response:
        return web.Response(body=body, content_type="application/json")

    app = web.Application()
    app.router.add_get("/items", items)
    server = TestServer(app)
    await server.start_server()
    result = await run_async(
        load_settings([kit.write_config(directory, str(server.make_url("/items")))]), once=True
    )
    await server.close()
    letters = sorted((directory / "state" / "dead_letters" / "items").rglob("items-*.ndjson"))
    codes = [json.loads(line)["code"] for path in letters for line in path.read_text().splitlines()]
    return result.exit_code, kit.lake_ids(directory), codes


@pytest.mark.parametrize(
    ("body", "code"), [case[1:] for case in BODIES], ids=[case[0] for case in BODIES]
)
async def test_a_bad_body_ends_the_run_and_moves_nothing(
    body: bytes, code: int, tmp_path: Path
) -> None:
    assert await run(tmp_path, body) == (code, [], [])


@pytest.mark.parametrize(
    ("records", "codes"), [case[1:] for case in RECORDS], ids=[case[0] for case in RECORDS]
)
async def test_a_bad_record_costs_one_dead_letter_and_its_neighbour_goes_on(
    records: list[str], codes: list[str], tmp_path: Path
) -> None:
    assert await run(tmp_path, page(GOOD, *records)) == (0, [0], codes)


async def test_text_that_is_no_utf8_is_one_dead_letter(tmp_path: Path) -> None:
    assert await run(tmp_path, page(GOOD, OTHER.replace('"b"', '"~"')).replace(b"~", b"\xe9")) == (
        0,
        [0],
        ["no_json"],
    )


async def test_of_a_key_that_stands_twice_the_last_counts(tmp_path: Path) -> None:
    assert await run(tmp_path, page(GOOD.replace('"id": 0', '"id": 0, "id": 77'))) == (0, [77], [])


@pytest.mark.parametrize(
    "body",
    [b'{"items": null}', b'{"items": []}', b"\xef\xbb\xbf" + b'{"items": []}'],
    ids=["null", "empty", "byte_order_mark"],
)
async def test_an_empty_page_is_no_error(body: bytes, tmp_path: Path) -> None:
    assert await run(tmp_path, body) == (0, [], [])
