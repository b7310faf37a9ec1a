"""`worker schema check` and `show`."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import fastavro
import pytest
from click.testing import CliRunner

from worker.cli import cli
from worker.core.errors import ConfigError


def record(*fields: tuple[str, Any]) -> dict[str, Any]:
    return {
        "type": "record",
        "name": "R",
        "fields": [{"name": name, "type": kind} for name, kind in fields],
    }


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> tuple[int, str]:
        result = CliRunner().invoke(
            cli, ["schema", *arguments], standalone_mode=False, catch_exceptions=False
        )
        return result.return_value or 0, result.output

    for name, document in {
        "v1": record(("a", "int")),
        "v2": record(("a", "long"), ("b", ["null", "int"])),
        "v3": {
            **record(("a", "long")),
            "fields": [{"name": "a", "type": "long"}, {"name": "c", "type": "int", "default": 0}],
        },
    }.items():
        (tmp_path / f"{name}.avsc").write_text(json.dumps(document))
    return call


def test_every_incompatibility_is_printed_with_its_path(run: Any) -> None:
    code, said = run("check", "v1.avsc", "v2.avsc", "--level", "full")
    assert code == 65
    assert said.splitlines() == [
        "v2.avsc cannot read data of v1.avsc",
        "  $.b: the writer has no such field, and the reader's has no default [missing_default]",
        "v1.avsc cannot read data of v2.avsc",
        "  $.a: long cannot be read as int [type_mismatch]",
        "not compatible: 2 reasons at level FULL",
    ]


@pytest.mark.parametrize(
    ("level", "code"),
    [
        ("BACKWARD", 0),
        ("backward_transitive", 0),
        ("FORWARD", 65),
        ("FULL_TRANSITIVE", 65),
        ("NONE", 0),
    ],
)
def test_levels(run: Any, level: str, code: int) -> None:
    assert run("check", "v1.avsc", "v3.avsc", "--level", level)[0] == code


def test_only_transitive_levels_look_at_older_versions(run: Any) -> None:
    # v1 reads v1, not v2's long
    assert run("check", "v2.avsc", "v1.avsc", "v1.avsc")[0] == 0
    code, said = run(
        "check", "v2.avsc", "v1.avsc", "v1.avsc", "--level", "BACKWARD_TRANSITIVE", "--json"
    )
    assert code == 65
    assert [(each["old"], each["direction"], each["path"]) for each in json.loads(said)] == [
        ("v2.avsc", "backward", "$.a")
    ]


def test_an_avro_file_stands_for_its_schema(run: Any, tmp_path: Path) -> None:
    with (tmp_path / "data.avro").open("wb") as file:
        fastavro.writer(file, record(("a", "long")), [{"a": 1}])
    assert run("check", "data.avro", "v1.avsc")[0] == 65
    code, said = run("show", "data.avro", "--canonical")
    assert (code, json.loads(said)["fields"]) == (0, [{"name": "a", "type": "long"}])


def test_what_is_shown_of_a_schema(run: Any, tmp_path: Path) -> None:
    tree = {
        "type": "record",
        "name": "Tree",
        "namespace": "n",
        "fields": [
            {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
            {"name": "children", "type": {"type": "array", "items": "Tree"}, "default": []},
            {
                "name": "price",
                "type": [
                    "null",
                    {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2},
                ],
                "default": None,
            },
            {
                "name": "sub",
                "type": {
                    "type": "map",
                    "values": {
                        "type": "record",
                        "name": "S",
                        "fields": [{"name": "x", "type": "int"}],
                    },
                },
            },
        ],
    }
    (tmp_path / "tree.avsc").write_text(json.dumps(tree))
    code, said = run("show", "tree.avsc", "--json")
    document = json.loads(said)
    assert (code, document["name"]) == (0, "n.Tree")
    assert [(each["path"], each["type"], each["default"]) for each in document["fields"]] == [
        ("at", "long (timestamp-micros)", None),
        ("children", "array of record n.Tree", "[]"),
        ("price", "null | bytes (decimal(9, 2))", "null"),
        ("sub", "map of record n.S", None),
        ("sub{}.x", "int", None),
    ]
    assert set(document["fingerprints"]) == {"CRC-64-AVRO", "MD5", "SHA-256"}
    assert "children  array of record n.Tree = []" in run("show", "tree.avsc")[1]


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        (None, ("bad.avsc", "cannot be read")),
        (b"{", ("bad.avsc", "no JSON")),
        (
            b'{"type": "record", "name": "R", "fields": [{"name": "a", "type": "strin"}]}',
            ("bad.avsc", "$.fields[0].type"),
        ),
        (b"Obj\x01broken", ("bad.avsc", "no intact Avro file")),
    ],
)
def test_a_wrong_file_is_named_with_the_place(
    run: Any, tmp_path: Path, text: bytes | None, pieces: tuple[str, ...]
) -> None:
    if text is not None:
        (tmp_path / "bad.avsc").write_bytes(text)
    with pytest.raises(ConfigError) as refused:
        run("check", "bad.avsc", "v1.avsc")
    assert refused.value.exit == 78
    for piece in pieces:
        assert piece in str(refused.value)


def test_a_schema_may_come_through_a_pipe(run: Any, tmp_path: Path) -> None:
    read, write = os.pipe()
    with os.fdopen(write, "wb") as pipe:
        pipe.write((tmp_path / "v1.avsc").read_bytes())
    code, said = run("check", f"/dev/fd/{read}", "v1.avsc")
    os.close(read)
    assert code == 0, said


def test_types_that_hold_others_twice_on_many_levels_are_shown_in_an_end(
    run: Any, tmp_path: Path
) -> None:
    fields: list[Any] = [
        {
            "name": "f0",
            "type": {"type": "record", "name": "N0", "fields": [{"name": "leaf", "type": "int"}]},
        }
    ]
    for level in range(1, 40):
        pair = [{"name": side, "type": f"N{level - 1}"} for side in ("left", "right")]
        fields.append(
            {"name": f"f{level}", "type": {"type": "record", "name": f"N{level}", "fields": pair}}
        )
    (tmp_path / "bush.avsc").write_text(
        json.dumps({"type": "record", "name": "Bush", "fields": fields})
    )
    code, said = run("show", "bush.avsc", "--json")
    assert code == 0
    shown = json.loads(said)["fields"]
    assert {f"f{level}" for level in range(40)} <= {each["path"] for each in shown}
    assert len(shown) < 11_000


def test_what_a_schema_says_in_vain_is_shown_with_its_place(run: Any, tmp_path: Path) -> None:
    document = record(("at", {"type": "long", "logicalType": "timestamp-milis"}))
    (tmp_path / "v4.avsc").write_text(f"// typed by hand\n{json.dumps(document)}")
    code, said = run("show", "v4.avsc")
    assert code == 0
    [warning] = [line for line in said.splitlines() if line.startswith("warning: ")]
    assert "$.fields[0].type" in warning and "did you mean 'timestamp-millis'?" in warning
    [found] = json.loads(run("show", "v4.avsc", "--json")[1])["warnings"]
    assert found["path"] == "$.fields[0].type" and "timestamp-milis" in found["message"]
    assert json.loads(run("show", "v1.avsc", "--json")[1])["warnings"] == []


def test_a_schema_of_several_files_is_shown_as_one(run: Any, tmp_path: Path) -> None:
    (tmp_path / "order.avsc").write_text(json.dumps([record(("c", "Customer"))]))
    (tmp_path / "customer.avsc").write_text(
        json.dumps({**record(("x", "int")), "name": "Customer"})
    )
    code, said = run("show", "order.avsc", "--with", "cust*.avsc", "--name", "R")
    assert code == 0 and "c.x" in said
    with pytest.raises(ConfigError, match=r"no file of `with` is called nothing\.avsc"):
        run("show", "order.avsc", "--with", "nothing.avsc")
