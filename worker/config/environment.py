"""Environment variables that override values: `WORKER_PIPELINES__ITEMS__SOURCE__CONCURRENCY=8`.

Two underscores stand between keys; a part names a key in any case, with `_` where it has `-`. An
override changes what is there, and never makes a pipeline or an origin. A variable that overrides
nothing is an error, because it was meant to.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from pydantic import TypeAdapter, ValidationError

from worker.config.merged import Merged
from worker.config.model import keys_of
from worker.config.models import annotation_below, keys_at, model_of, types_below
from worker.config.problems import Path_, Place, Problem, did_you_mean, listed
from worker.config.yaml import plain_value

PREFIX: Final = "WORKER_"
# Kubernetes sets these for services called worker or worker-something.
_KUBERNETES: Final = re.compile(
    r"WORKER(_[A-Z0-9]+)*?_(SERVICE_(HOST|PORT)(_[A-Z0-9_]+)?|PORT_\d+_(TCP|UDP|SCTP)(_[A-Z]+)?)"
)
_KUBERNETES_URL: Final = re.compile(r"(tcp|udp|sctp)://.*")


class Override(NamedTuple):
    """A variable, the parts of its name (the first in upper case), and its text."""

    variable: str
    parts: tuple[str, ...]
    text: str


class _Nowhere(Exception):
    """A variable leads nowhere: `found` says why, `hint` what to do."""

    def __init__(self, found: str, hint: str = "", allowed: str = "") -> None:
        super().__init__(found)
        self.found, self.hint, self.allowed = found, hint, allowed


def overrides_in(merged: Merged, environ: Mapping[str, str], root: Any) -> list[Override]:
    """The overrides of an environment in the order of their names; problems go to `merged`."""
    found = []
    sections = {name.upper(): name for name in keys_of(root)} | {"DEFAULTS": "defaults"}
    for variable in sorted(environ):
        if not variable.startswith(PREFIX) or _from_kubernetes(variable, environ[variable]):
            continue
        head, *rest = variable[len(PREFIX) :].split("__")
        try:
            _check_section(head, rest, sections, root)
        except _Nowhere as nowhere:
            _refuse(merged, variable, nowhere)
        else:
            found.append(Override(variable, (head.upper(), *rest), environ[variable]))
    return found


def _check_section(head: str, rest: Sequence[str], sections: Mapping[str, str], root: Any) -> None:
    """Raises _Nowhere for a first part that is no section, or that is all of the name of one."""
    section = sections.get(head.upper())
    if section is None:
        joined = any(head.upper().startswith(f"{each}_") for each in sections)
        hint = (
            "two underscores stand between keys, as in WORKER_ADMIN__LISTEN"
            if joined
            else did_you_mean(head, sections)
        )
        raise _Nowhere("overrides nothing", hint, listed(f"{PREFIX}{name}" for name in sections))
    if not rest and _is_section(root, section):
        hint = f"name a key of it: {PREFIX}{head}__..."
        raise _Nowhere(f"names the section {section}", hint)


def _from_kubernetes(variable: str, value: str) -> bool:
    if (
        variable == "WORKER_PORT"
        or variable.startswith("WORKER_SERVICE_")
        or _KUBERNETES.fullmatch(variable)
    ):
        return True
    port = variable.endswith("_PORT") and "__" not in variable
    return port and bool(_KUBERNETES_URL.fullmatch(value))


def _is_section(root: Any, name: str) -> bool:
    return name == "defaults" or not _is_scalar(annotation_below(root, name, None))


def _is_scalar(annotation: Any) -> bool:
    return model_of(annotation, {}) is None and annotation_below(annotation, "x", {}) is None


def _refuse(merged: Merged, variable: str, nowhere: _Nowhere) -> None:
    remedy = f"{nowhere.hint}; or unset it" if nowhere.hint else "correct its name, or unset it"
    place, found = Place("environment", 0, variable), f"{variable} {nowhere.found}"
    merged.problems.append(Problem("environment", place, found, nowhere.allowed, remedy))


# -- one override ----------------------------------------------------------------------------------


def apply(merged: Merged, root: Any, override: Override) -> None:
    """Sets the value that an override names, or notes why there is none."""
    with_defaults = annotation_below(annotation_below(root, "pipelines", None), "x", None)
    values: Any = merged.values
    annotation = root
    path: Path_ = ()
    *above, last = override.parts
    try:
        for part in above:
            name = _key(annotation, values, part, path)
            annotation = annotation_below(annotation, name, values)
            path = (*path, name)
            if path == ("defaults",):
                annotation = with_defaults
            values = _descend(merged, override, annotation, values, path)
        name = _key(annotation, values, last, path)
    except _Nowhere as nowhere:
        _refuse(merged, override.variable, nowhere)
        return
    values[name] = _typed(annotation_below(annotation, name, values), override.text)
    merged.sources[(*path, name)] = (override.variable, ())


def _descend(
    merged: Merged, override: Override, annotation: Any, values: Any, path: Path_
) -> dict[str, Any]:
    """The mapping at a path, a copy or a new one. Raises _Nowhere where the language has none."""
    name = path[-1]
    if isinstance(values.get(name), dict):
        values[name] = dict(values[name])  # a mapping may be shared by an alias
    elif annotation is not None and _is_scalar(annotation):
        kinds = types_below(annotation)
        may = f"is not in the config, and may be {', '.join(kinds)}"
        why = f"goes below {'.'.join(map(str, path))}, which {may if kinds else 'holds no keys'}"
        raise _Nowhere(why, "write it with its type into the file" if kinds else "")
    else:
        values[name] = {}
        merged.sources[path] = (override.variable, ())
    found: dict[str, Any] = values[name]
    return found


def _key(annotation: Any, values: Any, part: str, path: Path_) -> str:
    """The key that a part of a name means.

    Raises _Nowhere for a part that means none, or several.
    """
    there = [key for key in values if _plain(str(key)) == _plain(part)]
    if part in there:
        return part
    if len(there) == 1:
        return str(there[0])
    if there:
        raise _Nowhere(f"names {' and '.join(there)} alike")
    if path in (("pipelines",), ("origins",)):
        what, some = str(path[0]).removesuffix("s"), ", ".join(values) or "none"
        raise _Nowhere(
            f"names no {what} of the config: an override never creates one; there are {some}"
        )
    if not path and part == "DEFAULTS":
        return "defaults"
    return _new_key(keys_at(annotation, values), part, path)


def _new_key(known: list[str], part: str, path: Path_) -> str:
    """The key that is not there yet; `known` are those of the language, none where all are."""
    if not known:
        return part.lower() if part.isupper() else part
    names = {_plain(name): name for name in known}
    wanted = _plain(part)
    if wanted not in names:
        hint = did_you_mean(wanted, names)
        raise _Nowhere(
            f"overrides nothing: {'.'.join(map(str, path))} has no key {wanted!r};"
            f" {hint + '; ' if hint else ''}{listed(known)}"
        )
    return names[wanted]


def _plain(name: str) -> str:
    return name.lower().replace("-", "_")


def _typed(annotation: Any, text: str) -> Any:
    """The text itself where text fits, else the value that it has in YAML."""
    candidates: list[Any] = [text]
    with contextlib.suppress(ValueError):
        candidates.append(plain_value(text))
    if annotation is None:
        return candidates[-1]
    adapter = TypeAdapter(annotation)
    for candidate in candidates:
        try:
            adapter.validate_python(candidate)
        except ValidationError:
            continue
        return candidate
    return candidates[-1]
