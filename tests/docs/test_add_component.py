"""The worked examples of docs/how-to/add-a-component.md, added and run."""

from __future__ import annotations

import json
import re
from pathlib import Path

import kit
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from transforms.test_expression import PLAN, RECORD, outcome_with

from worker import components
from worker.app import run_async
from worker.cli.check import examine
from worker.core.errors import ConfigError
from worker.schema import parse_schema
from worker.schema.encoding import AvroRows
from worker.settings import load_settings
from worker.transforms.steps import compile_steps

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "add-a-component.md"


@pytest.fixture(autouse=True)
def _modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, code in re.findall(
        r"<!-- module: (\w+) -->\n```python\n(.*?)```", PAGE.read_text(), re.DOTALL
    ):
        (tmp_path / f"{name}.py").write_text(code)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(components.PAGINATION, "letters", "letters")
    monkeypatch.setitem(components.TRANSFORMS, "initials", "initials")


async def test_the_pagination_style_of_the_page_reads_every_record(tmp_path: Path) -> None:
    asked = []

    async def customers(request: web.Request) -> web.Response:
        letter = request.query["letter"]
        asked.append(letter)
        number = ord(letter) - ord("a")
        return web.json_response(
            {
                "items": []
                if letter in "qx"
                else [kit.item(number * 10 + each, second=number) for each in range(3)]
            }
        )

    app = web.Application()
    app.router.add_get("/v1/customers", customers)
    server = TestServer(app)
    await server.start_server()
    config = kit.write_config(
        tmp_path, str(server.make_url("/v1/customers")), source={"pagination": {"type": "letters"}}
    )
    problems, promises = examine([config])
    assert (problems, promises[0]["completeness"]) == ((), "unknown")
    result = await run_async(load_settings([config]), once=True)
    await server.close()
    assert result.exit_code == 0
    assert asked == [chr(ord("a") + number) for number in range(26)]
    assert kit.lake_ids(tmp_path) == [
        number * 10 + each
        for number in range(26)
        if chr(ord("a") + number) not in "qx"
        for each in range(3)
    ]


def test_a_wrong_key_of_the_new_style_is_named(tmp_path: Path) -> None:
    config = kit.write_config(
        tmp_path, "http://127.0.0.1:1/", source={"pagination": {"type": "letters", "parm": "x"}}
    )
    [problem] = examine([config])[0]
    assert problem.place.key == "pipelines.items.source.pagination.parm"
    assert "param" in problem.hints


def test_the_transform_of_the_page() -> None:
    output = parse_schema(
        json.dumps({"type": "record", "name": "O", "fields": [{"name": "out", "type": "string"}]})
    )
    with pytest.raises(ConfigError, match="whole number; initials are those of text"):
        compile_steps(PLAN, [("initials", ["i"])], output, AvroRows(output))
    steps = [("set", {"s": "'Ada Byron Lovelace'"}), ("initials", ["s"])]
    assert outcome_with(PLAN, "s", RECORD, "string", before=steps) == "ABL"
