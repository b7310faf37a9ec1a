"""docs/records.md: its examples are read by the decoder, and its table of outcomes has every code."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from worker.core.dead_letter import UNSHAPED
from worker.formats.records import PageSpec
from worker.formats.shaped_json import ShapedPages
from worker.runtime.slices import at_once
from worker.schema import compile_plan, parse_schema
from worker.sources.http_config import HttpConfig
from worker.sources.records import Records

PAGE = (Path(__file__).parents[2] / "docs" / "records.md").read_text()
EXAMPLES = re.findall(
    r"<!-- example -->\n```yaml\n(.*?)```\n```json\n(.*?)```\n```json\n(.*?)```", PAGE, re.DOTALL
)
ANYTHING = json.dumps({"type": "record", "name": "Anything", "fields": []})


@pytest.mark.parametrize(("config", "body", "records"), EXAMPLES)
def test_an_example_is_read_as_the_page_says(config: str, body: str, records: str) -> None:
    said = Records.model_validate(YAML(typ="safe").load(config)["records"])
    pages = ShapedPages(PageSpec(said.path, shape=said.shape), compile_plan(parse_schema(ANYTHING)))
    decoded = at_once(pages.decode(body.encode()))
    found = [json.loads(decoded.raw(place)) for place in range(decoded.facts.count)]
    assert found == [json.loads(line) for line in records.splitlines()]


def test_the_whole_config_is_one() -> None:
    [text] = re.findall(r"<!-- config -->\n```yaml\n(.*?)```", PAGE, re.DOTALL)
    [pipeline] = YAML(typ="safe").load(text)["pipelines"].values()
    assert HttpConfig.model_validate(pipeline["source"]).records.keep == {"device": "name"}


def test_there_is_an_example_of_each_key_and_a_row_of_each_key_and_code() -> None:
    keys = {field.alias or name for name, field in Records.model_fields.items()}
    shown = " ".join(config for config, _, _ in EXAMPLES)
    assert [key for key in keys if f"{key}:" not in shown] == []
    assert [key for key in keys - {"path"} if f"| `{key}: " not in PAGE] == []
    assert [code for code in UNSHAPED if f"reject `{code}`" not in PAGE] == []
