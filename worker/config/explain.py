"""What pydantic says about a config, in the words of the config: one problem per key."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pydantic import BaseModel, ValidationError

from worker.config.merged import Merged
from worker.config.models import annotation_below, chosen_of, keys_at, model_of, types_below
from worker.config.problems import Path_, Place, Problem, did_you_mean, listed
from worker.config.scalars import DURATION_PATTERN, NAME_PATTERN

SECRET_KEYS: Final = frozenset(
    {
        *("auth", "headers", "params", "proxy", "body", "form", "mask", "first", "equals"),
        "not_equals",
    }
)
"""Below these a value may be a secret: it is never shown."""
ROUNDS: Final = 3
SHOWN_CHARS: Final = 60

Groups = Mapping[Path_, Sequence[Any]]
"""The errors of pydantic, by the path in the file that they are about."""


class _Nothing:
    pass


_NOTHING: Final = _Nothing()


def problems_of(model: type[BaseModel], merged: Merged) -> tuple[BaseModel | None, list[Problem]]:
    """The model, or everything that is wrong.

    A model whose fields are wrong does not run the checks that compare them. So what is wrong is
    taken out, and the rest is tried again: one run shows all. A later round says nothing of a
    mapping that something was taken out of.
    """
    values: Any = merged.values
    problems: list[Problem] = []
    gone: list[Path_] = []
    for _ in range(ROUNDS):
        found, groups = _validated(model, values)
        fresh = {path: errors for path, errors in groups.items() if not _caused(path, errors, gone)}
        problems += [_Finding(model, merged, *each).problem() for each in fresh.items()]
        wrong, values = _taken_out(values, fresh)
        if not wrong:
            return (None if problems else found), problems
        gone += wrong
    return None, problems


def _validated(model: type[BaseModel], values: Any) -> tuple[BaseModel | None, Groups]:
    """The model, or the errors that keep it from being made."""
    try:
        return model(**values), {}
    except ValidationError as error:
        groups: dict[Path_, list[Any]] = {}
        for each in error.errors(include_url=False):
            path = _config_path(each, values)
            if not _counts_the_right_ones(each, _reach(values, path)):
                groups.setdefault(path, []).append(each)
        return None, groups


def _counts_the_right_ones(error: Any, value: Any) -> bool:
    """Whether a list is too short only because pydantic does not count its wrong items."""
    least = error.get("ctx", {}).get("min_length", 0)
    return error["type"] == "too_short" and isinstance(value, list) and len(value) >= least


def _caused(path: Path_, errors: Sequence[Any], gone: Iterable[Path_]) -> bool:
    """Whether the error at `path` may be caused by the removal of one of the `gone` paths."""
    about = (errors[0].get("ctx") or {}).get("about", ())
    return any(each[: len(path)] == path or any(key in each for key in about) for each in gone)


def _taken_out(values: Any, paths: Iterable[Path_]) -> tuple[list[Path_], Any]:
    """Those of the paths that the values have, and the values without them."""
    there = [path for path in paths if path and _reach(values, path) is not _NOTHING]
    for path in there:
        values = _without(values, path)
    return there, values


# -- the place -------------------------------------------------------------------------------------

_ABSENT: Final = frozenset({"missing", "refused", "extra_forbidden"})
"""Errors whose last part may be a key that the file does not have."""
_OF_TYPE: Final = frozenset({"union_tag_invalid", "union_tag_not_found"})
"""Errors about the key `type`, which pydantic reports at the mapping that has it."""


def _config_path(error: Any, values: Any) -> Path_:
    """The path as it stands in the file: pydantic adds names of union branches to it."""
    path: list[str | int] = []
    part = key = None
    for part in error["loc"]:
        key = _key_of(values, part)
        if key is not None:
            values = values[key]
            path.append(key)
    if part is not None and key is None and error["type"] in _ABSENT:
        path.append(part)
    if error["type"] in _OF_TYPE and isinstance(values, dict):
        path.append("type")
    return tuple(path)


def _key_of(values: Any, part: str | int) -> str | int | None:
    """The key or index that `part` is in the values; None where it is none."""
    if isinstance(values, dict):
        return next((key for key in (part, str(part)) if key in values), None)
    if isinstance(values, list) and isinstance(part, int) and part < len(values):
        return part
    return None


def _reach(values: Any, path: Path_) -> Any:
    for part in path:
        key = _key_of(values, part)
        values = _NOTHING if key is None else values[key]
    return values


def _without(values: Any, path: Path_) -> Any:
    """A copy without the value at a path.

    Items of lists keep their places: a wrong one takes the list with it.
    """
    if not isinstance(values, dict):
        return values
    head, rest = path[0], path[1:]
    others = {key: value for key, value in values.items() if key != head}
    if not rest or isinstance(rest[0], int) or _reach(values, path[:2]) is _NOTHING:
        return others
    return {**others, head: _without(values[head], rest)}


# -- the words -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Finding:
    """The errors at one path, and what the config has there."""

    model: Any
    merged: Merged
    path: Path_
    errors: Sequence[Any]

    def problem(self) -> Problem:
        return _EXPLANATIONS.get(self.kind, _wrong_type)(self)

    @property
    def kind(self) -> str:
        return str(self.errors[0]["type"])

    @property
    def context(self) -> Mapping[str, Any]:
        return self.errors[0].get("ctx") or {}

    @property
    def place(self) -> Place:
        return self.merged.place(self.path)

    @property
    def value(self) -> Any:
        """The value at the path, or the key where the key is what is wrong."""
        about_key = self.errors[0]["loc"][-1:] == ("[key]",)
        return self.path[-1] if about_key else _reach(self.merged.values, self.path)

    @property
    def secret(self) -> bool:
        """Whether the value may be a secret."""
        value = self.value
        return any(part in SECRET_KEYS for part in self.path) or (
            isinstance(value, str) and "@" in value
        )

    @property
    def shown(self) -> str:
        """The value where it is short and no secret, else what kind of value it is."""
        return _kind(self.value) if self.secret else _shown(self.value)

    @property
    def holder(self) -> tuple[Any, Any]:
        """(type, raw value) of what has the last key of the path."""
        annotation, raw = self.model, self.merged.values
        for part in self.path[:-1]:
            annotation = annotation_below(annotation, part, raw)
            raw = _reach(raw, (part,))
        return annotation, raw

    @property
    def description(self) -> str:
        """What the key at the path means."""
        model = model_of(*self.holder)
        for name, each in (model.model_fields if model else {}).items():
            if self.path[-1] in (name, each.alias):
                return each.description or ""
        return ""

    def not_allowed(self, allowed: str, remedy: str = "") -> Problem:
        """The problem of a value that is not one of those that are allowed."""
        return Problem("not_allowed", self.place, f"found {self.shown}", allowed, remedy)


def _unknown_key(finding: _Finding) -> Problem:
    annotation, raw = finding.holder
    key = finding.path[-1]
    # `defaults` is merged, and gone by now
    known = [*keys_at(annotation, raw), *(["defaults"] if len(finding.path) == 1 else [])]
    hint = did_you_mean(key, known) or _of_other_type(annotation, raw, key)
    found = f"unknown key {str(key)!r}"
    return Problem("unknown_key", finding.place, found, listed(known), hint)


def _of_other_type(annotation: Any, raw: Any, key: str | int) -> str:
    """The types of component that have a key, where this one has not."""
    chosen = chosen_of(annotation)
    others = [] if chosen is None else chosen.others_with(str(key), raw)
    if not others:
        return ""
    names = " and ".join(each for each in (", ".join(others[:-1]), others[-1]) if each)
    return f"{key} is a key of type {names}"


def _missing_key(finding: _Finding) -> Problem:
    needed = f"needed: {text}" if (text := finding.description) else ""
    return Problem("missing_key", finding.place, "is missing", needed)


def _missing_type(finding: _Finding) -> Problem:
    return Problem("missing_key", finding.place, "is missing", listed(_types(finding)))


def _unknown_type(finding: _Finding) -> Problem:
    return _none_of(finding, _types(finding))


def _unknown_choice(finding: _Finding) -> Problem:
    expected = [
        part.strip().strip("'")
        for each in finding.errors
        for part in each["ctx"]["expected"].replace(" or ", ", ").split(", ")
    ]
    return _none_of(finding, list(dict.fromkeys(part for part in expected if part)))


def _none_of(finding: _Finding, names: Sequence[str]) -> Problem:
    value = finding.value
    hint = did_you_mean(value, names) if isinstance(value, str) else ""
    return finding.not_allowed(listed(names), hint)


def _types(finding: _Finding) -> list[str]:
    annotation, _ = finding.holder
    return types_below(annotation)


def _refused(finding: _Finding) -> Problem:
    said = finding.context
    return Problem("not_allowed", finding.place, said["found"], said["allowed"], said["remedy"])


def _unfit(finding: _Finding) -> Problem:
    said, value = finding.context, finding.value
    why = str(said.get("error") or said.get("why"))
    plain = isinstance(value, str | int | float) and not isinstance(value, bool)
    if plain and not finding.secret and len(str(value)) <= SHOWN_CHARS:
        why += f", found {finding.shown}"
    return Problem(
        "not_allowed", finding.place, why, said.get("allowed", ""), said.get("remedy", "")
    )


_PATTERNS: Final = {
    NAME_PATTERN: (
        "names are lower-case letters, digits, - and _, up to 63, a letter or digit first"
    ),
    DURATION_PATTERN: "a duration like 500ms, 30s, 5m, 1h or 7d is needed",
}


def _other_pattern(finding: _Finding) -> Problem:
    pattern = finding.context.get("pattern", "")
    words = _PATTERNS.get(pattern) or finding.description
    return finding.not_allowed(words or f"the pattern {pattern} is needed")


_BOUNDS: Final = {
    "greater_than": ("gt", "more than"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "less than"),
    "less_than_equal": ("le", "at most"),
}


def _out_of_bounds(finding: _Finding) -> Problem:
    key, words = _BOUNDS[finding.kind]
    return finding.not_allowed(f"{words} {finding.context.get(key)} is needed")


def _empty(finding: _Finding) -> Problem:
    return Problem("not_allowed", finding.place, "is empty", "at least one is needed")


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


def _wrong_type(finding: _Finding) -> Problem:
    needed = list(dict.fromkeys(_NEEDED.get(each["type"], each["msg"]) for each in finding.errors))
    number = isinstance(finding.value, int | float)
    return Problem(
        "wrong_type",
        finding.place,
        f"found {finding.shown}",
        f"{' or '.join(needed)} is needed",
        "write it in quotes" if needed == ["text"] and number else "",
    )


_EXPLANATIONS: Final[Mapping[str, Callable[[_Finding], Problem]]] = {
    "extra_forbidden": _unknown_key,
    "missing": _missing_key,
    "union_tag_not_found": _missing_type,
    "union_tag_invalid": _unknown_type,
    "literal_error": _unknown_choice,
    "refused": _refused,
    "unfit": _unfit,
    "value_error": _unfit,
    "string_pattern_mismatch": _other_pattern,
    **dict.fromkeys(_BOUNDS, _out_of_bounds),
    "too_short": _empty,
    "string_too_short": _empty,
}
"""The kind of an error -> what explains it; all others are values of a wrong type."""


# -- values ----------------------------------------------------------------------------------------

_KINDS: Final = {
    bool: "true or false",
    int: "a number",
    float: "a number",
    str: "text",
    list: "a list",
    dict: "a mapping",
    type(None): "nothing (null)",
}


def _kind(value: Any) -> str:
    return _KINDS.get(type(value), "something else")


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, str | int | float):
        return _kind(value)
    text = repr(value) if isinstance(value, str) else str(value)
    if len(text) > SHOWN_CHARS:
        text = f"{text[: SHOWN_CHARS - 3]}..."
    return f"{_kind(value)} {text}"
