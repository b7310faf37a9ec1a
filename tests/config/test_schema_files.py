"""`schema: {file, with, name}`: schemas split over files, lists of types, comments; and what `check`
says of those that are wrong, or that say something in vain.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from config.conftest import RIGHT, Check

from worker.cli.check import examine
from worker.core.errors import ConfigError
from worker.settings import load_settings
from worker.wiring.schemas import schema_of


def record(name: str, **fields: Any) -> dict[str, Any]:
    entries = [{"name": key, "type": kind} for key, kind in fields.items()]
    return {"type": "record", "name": name, "fields": entries}


ORDER = record("com.x.Order", id="long", customer="Customer")
CUSTOMER = record("com.x.Customer", city="string", last=["null", "com.x.Order"])


def with_schema(text: str) -> str:
    return RIGHT.replace("item.avsc", text)


def write(**documents: Any) -> None:
    """Files by their names, with two underscores for a slash."""
    for name, document in documents.items():
        path = Path(f"{name.replace('__', '/')}.avsc")
        path.parent.mkdir(exist_ok=True)
        path.write_text(document if isinstance(document, str) else json.dumps(document))


SPLIT = "{file: order.avsc, with: [common/*.avsc]}"
FORMS: dict[str, tuple[str, dict[str, Any]]] = {
    "a directory of others": (SPLIT, {"order": ORDER, "common__customer": CUSTOMER}),
    "one other, as text": (
        "{file: order.avsc, with: customer.avsc}",
        {"order": ORDER, "customer": CUSTOMER},
    ),
    "a pattern that matches the file itself": (
        "{file: order.avsc, with: ['*.avsc']}",
        {"order": ORDER, "customer": CUSTOMER},
    ),
    "any directory below": (
        "{file: order.avsc, with: ['**/*.avsc']}",
        {"order": ORDER, "common__customer": CUSTOMER},
    ),
    "a list of types": (
        "{file: all.avsc, name: com.x.Order}",
        {"all": [CUSTOMER, ORDER]},
    ),
    "a list beside the record": (
        "{file: order.avsc, with: [types.avsc]}",
        {"order": ORDER, "types": [CUSTOMER]},
    ),
    "a record of another file": (
        "{file: types.avsc, with: [order.avsc], name: com.x.Order}",
        {"order": ORDER, "types": [CUSTOMER]},
    ),
    "comments": (
        "{file: order.avsc, with: [common/*.avsc]}",
        {
            "order": f"// the order, see https://x.example\n{json.dumps(ORDER)}",
            "common__customer": f"/* {{ */ {json.dumps(CUSTOMER)}",
        },
    ),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("key", ["schema", "output_schema"])
def test_a_schema_of_several_files_is_one_schema(form: str, key: str, check: Check) -> None:
    text, documents = FORMS[form]
    write(item=record("Item", id="long"), **documents)
    if key == "schema":
        assert check(with_schema(text)) == []
        ref = load_settings([Path("a.yaml")]).pipelines["items"].schema_
    else:
        check(f"{RIGHT}    output_schema: {text}\n")
        ref = load_settings([Path("a.yaml")]).pipelines["items"].output_schema
    assert ref is not None
    schema = schema_of(ref, {})
    assert (schema.root.name, set(schema.named)) == (
        "com.x.Order",
        {"com.x.Order", "com.x.Customer"},
    )


def test_the_files_are_relative_to_the_config_whatever_its_directory_is_called(
    check: Check, tmp_path: Path
) -> None:
    home = tmp_path / "[prod] *"
    home.mkdir()
    os.chdir(home)
    write(order=ORDER, common__customer=CUSTOMER)
    (home / "config.yaml").write_text(with_schema(SPLIT))
    os.chdir(tmp_path)
    config = load_settings([home / "config.yaml"]).pipelines["items"]
    assert schema_of(config.schema_, {}).root.name == "com.x.Order"


def test_a_commented_file_needs_no_long_form(check: Check) -> None:
    write(order=f"/* (c) */ {json.dumps(record('Order', id='long'))} // end")
    assert check(with_schema("order.avsc")) == []


WRONG: dict[str, tuple[str, dict[str, Any], tuple[str, ...]]] = {
    "a type that no file defines": (
        "{file: order.avsc}",
        {"order": ORDER},
        ("order.avsc: $.fields[1].type", "unknown type 'Customer'", "with: [OTHER FILE]"),
    ),
    "a type that another file defines": (
        "order.avsc",
        {"order": ORDER, "customer": CUSTOMER},
        ("order.avsc: $.fields[1].type", "unknown type 'Customer'", "with: [OTHER FILE]"),
    ),
    "a type of two files": (
        "{file: order.avsc, with: [a.avsc, b.avsc]}",
        {"order": ORDER, "a": CUSTOMER, "b": [CUSTOMER]},
        ("b.avsc: $[0]", "'com.x.Customer' is defined already, in a.avsc: $"),
    ),
    "a wrong type in another file": (
        SPLIT,
        {"order": ORDER, "common__customer": record("com.x.Customer", city="strin")},
        ("common/customer.avsc: $.fields[0].type", "unknown type 'strin'"),
    ),
    "another file that is no JSON": (
        SPLIT,
        {"order": ORDER, "common__customer": '{\n"type": '},
        ("common/customer.avsc:2: $: no JSON document",),
    ),
    "no file of that name": (
        "{file: order.avsc, with: [comon/*.avsc]}",
        {"order": ORDER},
        ("a.yaml:6: pipelines.items.schema", "no file of `with` is called comon/*.avsc"),
    ),
    "no such file": (
        "{file: oder.avsc}",
        {"order": ORDER},
        ("a.yaml:6: pipelines.items.schema", "oder.avsc cannot be read", "worker schema infer"),
    ),
    "a list of several types without a name": (
        "{file: all.avsc}",
        {"all": [CUSTOMER, ORDER]},
        ("all.avsc defines 2 types", "`name`", "com.x.Customer, com.x.Order"),
    ),
    "a list of several types without the long form": (
        "all.avsc",
        {"all": [CUSTOMER, ORDER]},
        ("the root is union", "schema: {file: FILE, name: NAME}"),
    ),
    "a name that is none": (
        "{file: all.avsc, name: com.x.Ordre}",
        {"all": [CUSTOMER, ORDER]},
        ("defines 'com.x.Ordre'", "did you mean 'com.x.Order'?"),
    ),
    "a name of no record": (
        "{file: all.avsc, name: K}",
        {"all": [{"type": "enum", "name": "K", "symbols": []}]},
        ("the root is enum, a record is needed",),
    ),
    "a key that is none": (
        "{file: order.avsc, wiht: [a.avsc]}",
        {"order": record("Order", id="long")},
        ("a.yaml:6: pipelines.items.schema.wiht", "did you mean 'with'?"),
    ),
    "a logical type in the place of a type": (
        "order.avsc",
        {"order": record("Order", at="timestamp-millis")},
        ("is a logical type", '{"type": "long", "logicalType": "timestamp-millis"}'),
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_said_with_the_file_and_the_place(case: str, check: Check) -> None:
    text, documents, pieces = WRONG[case]
    write(**documents)
    problems = check(with_schema(text))
    assert len(problems) == 1, problems
    assert all(piece in str(problems[0]) for piece in pieces), str(problems[0])
    with pytest.raises(ConfigError) as refused:
        config = load_settings([Path("a.yaml")]).pipelines["items"]
        schema = schema_of(config.schema_, {})
        raise ConfigError(f"no record: {schema.root.kind}") from None
    assert refused.value.exit == 78


def test_check_names_what_a_schema_says_in_vain(check: Check) -> None:
    write(
        order=record(
            "com.x.Order",
            at={"type": "long", "logicalType": "timestamp-milis"},
            customer="Customer",
        ),
        common__customer={
            **record("com.x.Customer", born="int"),
            "fields": [{"name": "born", "type": "int", "logicalType": "date"}],
        },
        out=record("Out", price={"type": "bytes", "logicalType": "decimal", "precision": "9"}),
    )
    check(
        with_schema(SPLIT) + "    transforms: [{python: 'json:loads'}]\n    output_schema: out.avsc"
    )
    problems, [promise] = examine([Path("a.yaml")])
    assert not problems
    found = promise["warnings"]
    assert [each.partition(" ")[0] for each in found] == [
        "order.avsc:",
        "common/customer.avsc:",
        "out.avsc:",
    ]
    assert "did you mean 'timestamp-millis'?" in found[0] and "$.fields[0].type" in found[0]


def test_check_has_nothing_to_say_of_a_schema_that_does_what_it_says(check: Check) -> None:
    write(order=ORDER, common__customer=CUSTOMER)
    check(with_schema(SPLIT))
    [promise] = examine([Path("a.yaml")])[1]
    assert promise["warnings"] == []
