"""What is not to be kept of people is in no file of a worker, and a replay says what it cannot do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import kit
import pytest

from worker.testing.replica import Replica, Shape

SOURCE = {"pagination": {"type": "none"}, "key": ["id"]}
BAD = (3, 7)
MASK = [{"rename": {"tenant": "who"}}, {"mask": {"fields": ["who"], "method": "redact"}}]


async def landed(directory: Path, keep: str, **pipeline: Any) -> Path:
    """A config whose source was read once; two records are rejected. Tenants are personal."""
    records = [
        {**kit.item(number, second=number, bad=number in BAD), "tenant": f"person-{number}"}
        for number in range(20)
    ]
    out = {
        **kit.SCHEMA,
        "fields": [
            {**each, "name": "who"} if each["name"] == "tenant" else each
            for each in kit.SCHEMA["fields"]
        ],
    }
    (directory / "out.avsc").write_text(json.dumps(out))
    async with Replica(records, Shape(style="none")) as replica:
        config = kit.write_config(
            directory,
            replica.url,
            source=SOURCE,
            transforms=MASK,
            output_schema="out.avsc",
            dead_letters={"keep": keep, **pipeline},
        )
        code, _, errors = await kit.worker("run", config, "--once")
    assert code == 0, errors
    return config


def people_in(directory: Path) -> list[Path]:
    """The files of the worker that hold the name of somebody."""
    files = [*(directory / "state").rglob("*"), *(directory / "lake").rglob("*")]
    return [path for path in files if path.is_file() and b"person-" in path.read_bytes()]


async def test_nothing_of_a_masked_field_is_in_any_file(tmp_path: Path) -> None:
    config = await landed(tmp_path, "masked")
    assert people_in(tmp_path) == []
    assert kit.dead_ids(tmp_path) == list(BAD)
    _, out, _ = await kit.worker("dlq", "show", config, "--pipeline", "items")
    assert '"tenant":"***"' in out


async def test_where_only_errors_are_kept_no_record_is_in_any_file(tmp_path: Path) -> None:
    config = await landed(tmp_path, "errors")
    assert people_in(tmp_path) == []
    _, out, _ = await kit.worker("dlq", "show", config, "--pipeline", "items")
    assert out.count("the record was not kept") == 2 and "$.value" in out
    assert (await kit.worker("verify", config))[0] == 0


async def test_a_replay_of_what_was_not_kept_says_so_and_changes_nothing(tmp_path: Path) -> None:
    config = await landed(tmp_path, "masked")
    before = kit.published_letters(tmp_path)
    code, _, errors = await kit.worker("dlq", "replay", config, "--pipeline", "items")
    assert code == 65
    assert "error [not_kept]" in errors
    assert "2 of 2 dead letters of items that wait do not hold their record" in errors
    assert "worker dlq purge --waiting" in errors
    assert kit.published_letters(tmp_path) == before


async def test_a_replay_lands_what_was_kept_and_the_others_wait_with_their_place(
    tmp_path: Path,
) -> None:
    config = await landed(tmp_path, "raw")
    assert people_in(tmp_path) != []
    [file] = kit.published_letters(tmp_path)
    schema = json.loads((tmp_path / "item.avsc").read_text())
    schema["fields"][-1]["type"] = ["int", "string"]
    # as if the keep of one of the two had been another one
    first, second = map(json.loads, file.read_text().splitlines())
    del second["raw"]
    file.write_text(f"{json.dumps(first)}\n{json.dumps(second | {'kept': 'errors'})}\n")
    for name in ("item.avsc", "out.avsc"):
        document = json.loads((tmp_path / name).read_text())
        document["fields"][-1]["type"] = ["int", "string"]
        (tmp_path / name).write_text(json.dumps(document))
    code, _, errors = await kit.worker("dlq", "replay", config, "--pipeline", "items")
    assert code == 0, errors
    assert "1 of 2 dead letters of items that wait do not hold their record" in errors
    assert kit.lake_ids(tmp_path) == sorted(range(20))[:7] + list(range(8, 20))
    [letter] = [
        json.loads(line)
        for path in kit.published_letters(tmp_path)
        if path != file
        for line in path.read_text().splitlines()
    ]
    assert letter == second | {"kept": "errors", "seq": letter["seq"]}


@pytest.mark.parametrize("command", [("run", "--once"), ("prune",)])
async def test_letters_that_are_too_old_are_removed_without_news_and_verify_knows(
    command: tuple[str, ...], tmp_path: Path
) -> None:
    config = await landed(tmp_path, "raw")
    assert len(kit.published_letters(tmp_path)) == 1
    config.write_text(config.read_text().replace("keep: raw", "keep: raw, keep_for: 1ms"))
    assert (await kit.worker("verify", config))[0] == 0
    code, _, errors = await kit.worker(command[0], config, *command[1:])
    assert code == 0, errors
    assert kit.published_letters(tmp_path) == []
    code, out, _ = await kit.worker("verify", config)
    assert code == 0, out
    assert people_in(tmp_path) == []
