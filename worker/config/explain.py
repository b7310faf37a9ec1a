"""What pydantic says about a config, in the words of the config: one problem a key, with its place in the file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from pydantic import BaseModel, ValidationError

from worker.config.merge import Merged
from worker.config.models import annotation_below, chosen_of, keys_at, model_of, types_below
from worker.config.problems import Path_, Place, Problem, did_you_mean, listed
from worker.config.scalars import DURATION_PATTERN, NAME_PATTERN

SECRET_KEYS: Final = frozenset(
    {"auth", "headers", "params", "body", "mask", "first", "equals", "not_equals"}
)
"""Below these a value may be a secret: it is never shown."""
ROUNDS: Final = 3

_NEEDED: Final = {
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "string_type": "text",
    "path_type": "a path",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "tuple_type": "a list",
    "list_type": "a list",
    "none_required": "null",
}
_BOUNDS: Final = {
    "greater_than": ("gt", "more than"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "less than"),
    "less_than_equal": ("le", "at most"),
}
_PATTERNS: Final = {
    NAME_PATTERN: "names are lower-case letters, digits, - and _, up to 63, a letter or digit first",
    DURATION_PATTERN: "a duration like 500ms, 30s, 5m, 1h or 7d is needed",
}


def problems_of(model: type[BaseModel], merged: Merged) -> tuple[BaseModel | None, list[Problem]]:
    """The model, or everything that is wrong.

    A model whose fields are wrong does not run the checks that compare them, so what is wrong is taken out and it is tried again:
    one run shows all. A later round says nothing of a mapping that something was taken out of.
    """
    values: Any = merged.values
    problems: list[Problem] = []
    gone: list[Path_] = []
    for _ in range(ROUNDS):
        try:
            found = model(**values)
        except ValidationError as error:
            groups = _by_path(error.errors(include_url=False), values)
        else:
            return (found if not problems else None), problems
        fresh = {
            path: errors
            for path, errors in groups.items()
            if not any(_rests_on(path, errors[0], each) for each in gone)
        }
        problems += [_problem(model, merged, path, errors) for path, errors in fresh.items()]
        wrong = [path for path in fresh if path and _reach(values, path) is not _NOTHING]
        if not wrong:
            break
        for path in wrong:
            values = _without(values, path)
        gone += wrong
    return None, problems


def _rests_on(path: Path_, error: Any, gone: Path_) -> bool:
    """What is said of `path` may only be so because `gone` was taken out."""
    return gone[: len(path)] == path or any(
        key in gone for key in (error.get("ctx") or {}).get("about", ())
    )


def _by_path(errors: Sequence[Any], values: Any) -> dict[Path_, list[Any]]:
    groups: dict[Path_, list[Any]] = {}
    for each in errors:
        groups.setdefault(_config_path(each, values), []).append(each)
    return groups


def _config_path(error: Any, values: Any) -> Path_:
    """The path as it stands in the file: pydantic adds names of union branches to it."""
    path: list[str | int] = []
    loc = error["loc"]
    for number, part in enumerate(loc):
        last = number == len(loc) - 1
        if isinstance(values, dict) and (part in values or str(part) in values):
            name = part if part in values else str(part)
            values = values[name]
            path.append(name)
        elif isinstance(values, list) and isinstance(part, int) and part < len(values):
            values = values[part]
            path.append(part)
        elif last and (
            error["type"] in ("missing", "refused")
            or (isinstance(part, str) and error["type"] == "extra_forbidden")
        ):
            path.append(part)
    if error["type"] in ("union_tag_invalid", "union_tag_not_found") and isinstance(values, dict):
        path.append("type")
    return tuple(path)


def _problem(model: Any, merged: Merged, path: Path_, errors: Sequence[Any]) -> Problem:
    error, place, value = errors[0], merged.place(path), _reach(merged.values, path)
    kind, context = error["type"], error.get("ctx") or {}
    if error["loc"][-1:] == ("[key]",):
        value = path[-1]
    if any(part in SECRET_KEYS for part in path) or (isinstance(value, str) and "@" in value):
        value = _Hidden(value)
    if kind == "extra_forbidden":
        return _unknown_key(model, merged, path, place)
    if kind == "missing":
        return Problem(
            "missing_key",
            place,
            "is missing",
            f"needed: {text}" if (text := _description(model, merged, path)) else "",
        )
    if kind == "union_tag_not_found":
        return Problem("missing_key", place, "is missing", listed(_kinds(model, merged, path)))
    if kind in ("union_tag_invalid", "literal_error"):
        names = _kinds(model, merged, path) if kind == "union_tag_invalid" else _literals(errors)
        plain = value if not isinstance(value, _Hidden) else _reach(merged.values, path)
        return Problem(
            "not_allowed",
            place,
            f"found {_shown_value(value)}",
            listed(names),
            did_you_mean(plain, names) if isinstance(plain, str) else "",
        )
    if kind == "refused":
        return Problem(
            "not_allowed", place, context["found"], context["allowed"], context["remedy"]
        )
    if kind in ("value_error", "unfit"):
        why = str(context.get("error") or context.get("why") or error["msg"])
        shown = f", found {_shown_value(value)}" if _is_plain(value) else ""
        return Problem(
            "not_allowed",
            place,
            f"{why}{shown}",
            context.get("allowed", ""),
            context.get("remedy", ""),
        )
    if kind == "string_pattern_mismatch":
        allowed = (
            _PATTERNS.get(context.get("pattern", ""))
            or _description(model, merged, path)
            or f"the pattern {context.get('pattern')} is needed"
        )
        return Problem("not_allowed", place, f"found {_shown_value(value)}", allowed)
    if kind in _BOUNDS:
        key, words = _BOUNDS[kind]
        return Problem(
            "not_allowed",
            place,
            f"found {_shown_value(value)}",
            f"{words} {context.get(key)} is needed",
        )
    if kind in ("too_short", "string_too_short"):
        return Problem("not_allowed", place, "is empty", "at least one is needed")
    needed = list(dict.fromkeys(_NEEDED.get(each["type"], each["msg"]) for each in errors))
    remedy = (
        "write it in quotes"
        if needed == ["text"] and isinstance(_unhidden(value), int | float)
        else ""
    )
    return Problem(
        "wrong_type",
        place,
        f"found {_shown_value(value)}",
        f"{' or '.join(needed)} is needed",
        remedy,
    )


def _unknown_key(model: Any, merged: Merged, path: Path_, place: Place) -> Problem:
    annotation, raw = _above(model, merged, path)
    # `defaults` is merged, and gone by now
    known = [*keys_at(annotation, raw), *(["defaults"] if len(path) == 1 else [])]
    hint = did_you_mean(path[-1], known) or _of_other_type(annotation, raw, path[-1])
    return Problem("unknown_key", place, f"unknown key {str(path[-1])!r}", listed(known), hint)


def _of_other_type(annotation: Any, raw: Any, key: str | int) -> str:
    """The types of component that have a key, where this one has not."""
    chosen = chosen_of(annotation)
    others = [] if chosen is None else chosen.others_with(str(key), raw)
    return f"{key} is a key of type {' and '.join(others)}" if others else ""


def _above(model: Any, merged: Merged, path: Path_) -> tuple[Any, Any]:
    """(type, raw value) of what holds the last key of a path."""
    annotation, raw = model, merged.values
    for part in path[:-1]:
        annotation = annotation_below(annotation, part, raw)
        raw = _reach(raw, (part,))
    return annotation, raw


def _kinds(model: Any, merged: Merged, path: Path_) -> list[str]:
    annotation, _ = _above(model, merged, path)
    return types_below(annotation)


def _description(model: Any, merged: Merged, path: Path_) -> str:
    holder = model_of(*_above(model, merged, path))
    for name, each in (holder.model_fields if holder else {}).items():
        if path[-1] in (name, each.alias):
            return each.description or ""
    return ""


def _literals(errors: Sequence[Any]) -> list[str]:
    names: list[str] = []
    for each in errors:
        expected = str((each.get("ctx") or {}).get("expected", ""))
        names += [
            part.strip().strip("'") for part in expected.replace(" or ", ", ").split(", ") if part
        ]
    return list(dict.fromkeys(names))


class _Hidden:
    """A value that is not shown."""

    def __init__(self, value: Any) -> None:
        self.value = value


class _Nothing:
    pass


_NOTHING: Final = _Nothing()


def _unhidden(value: Any) -> Any:
    return value.value if isinstance(value, _Hidden) else value


def _is_plain(value: Any) -> bool:
    return (
        isinstance(value, str | int | float)
        and not isinstance(value, bool)
        and len(str(value)) <= 60
    )


def _shown_value(value: Any) -> str:
    """What was found: the value when it is short and no secret, else what kind of value it is."""
    plain = _unhidden(value)
    kinds = {
        bool: "true or false",
        int: "a number",
        float: "a number",
        str: "text",
        list: "a list",
        dict: "a mapping",
        type(None): "nothing (null)",
    }
    kind = kinds.get(type(plain), "something else")
    if isinstance(value, _Hidden) or isinstance(plain, list | dict) or plain is None:
        return kind
    if isinstance(plain, bool):
        return str(plain).lower()
    text = repr(plain) if isinstance(plain, str) else str(plain)
    return f"{kind} {text}" if len(text) <= 60 else f"{kind} {text[:57]}..."


def _reach(values: Any, path: Path_) -> Any:
    for part in path:
        if isinstance(values, list):
            values = values[part] if isinstance(part, int) and part < len(values) else _NOTHING
        else:
            values = values.get(part, _NOTHING) if isinstance(values, dict) else _NOTHING
    return values


def _without(values: Any, path: Path_) -> Any:
    """A copy without the value at a path. Items of lists keep their places: a wrong one takes the list with it."""
    head, rest = path[0], path[1:]
    if isinstance(values, dict):
        if not rest or isinstance(rest[0], int) or _reach(values, path[:2]) is _NOTHING:
            return {key: value for key, value in values.items() if key != head}
        return {
            key: _without(value, rest) if key == head else value for key, value in values.items()
        }
    return values
