"""Several files, `defaults`, `origins` and the environment -> one tree of values, which still knows where each value stands.

1 files        the first one, and the pipelines of all
2 defaults     under every pipeline: maps deep, lists replaced
3 environment  WORKER_A__B=value; it changes what is there, and never makes a pipeline
4 origins      `source: {origin: example, path: /v1}` gets the url and what else the origin says
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from worker.config.models import annotation_below, keys_of, model_of, types_below
from worker.config.problems import Path_, Place, Problem, did_you_mean, listed
from worker.config.yaml import Document, plain_value

PREFIX: Final = "WORKER_"
# Kubernetes sets these for services called worker or worker-something.
_KUBERNETES: Final = re.compile(
    r"WORKER(_[A-Z0-9]+)*?_(SERVICE_(HOST|PORT)(_[A-Z0-9_]+)?|PORT_\d+_(TCP|UDP|SCTP)(_[A-Z]+)?)"
)
_KUBERNETES_URL: Final = re.compile(r"(tcp|udp|sctp)://.*")
FROM_ORIGIN: Final = ("auth", "rate_limit", "concurrency")
SCHEMAS: Final = ("schema", "output_schema")


@dataclass(slots=True)
class Merged:
    """`values` as the models take them; `sources` says of the root of each subtree which file or variable it came from."""

    values: dict[str, Any] = field(default_factory=dict)
    sources: dict[Path_, tuple[Document | str, Path_]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def place(self, path: Path_) -> Place:
        """Where a value of the merged tree stands."""
        known = path
        while known and known not in self.sources:
            known = known[:-1]
        if known not in self.sources:
            return Place("config", 0, ".".join(map(str, path)))
        document, base = self.sources[known]
        if isinstance(document, str):
            return Place("environment", 0, document)
        return document.place(base + path[len(known) :])

    def written(self, path: Path_) -> str | None:
        """A number as it is written, where it is printed otherwise."""
        known = path
        while known and known not in self.sources:
            known = known[:-1]
        document, base = self.sources.get(known, ("", ()))
        return (
            None if isinstance(document, str) else document.written.get(base + path[len(known) :])
        )

    def wrong(
        self, code: str, path: Path_, found: str, allowed: str = "", remedy: str = ""
    ) -> None:
        self.problems.append(Problem(code, self.place(path), found, allowed, remedy))


def merge(documents: Sequence[Document], environ: Mapping[str, str], root: Any) -> Merged:
    """The tree that `root`, the model of the whole config, is made of. Problems are in it, nothing is raised."""
    merged = Merged()
    for document in documents:
        merged.problems += document.problems
        _add(merged, document, root)
    overrides = _overrides(merged, environ, root)
    for variable, parts, text in overrides:
        if parts[0] != "PIPELINES":
            _override(merged, root, variable, parts, text)
    _defaults(merged)
    for variable, parts, text in overrides:
        if parts[0] == "PIPELINES":
            _override(merged, root, variable, parts, text)
    _origins(merged)
    return merged


# -- files --------------------------------------------------------------------------------------------------------


def _add(merged: Merged, document: Document, root: Any) -> None:
    first = not merged.sources
    if first:
        merged.sources[()] = (document, ())
    for key, value in document.values.items():
        if key == "pipelines" and isinstance(value, dict):
            pipelines = merged.values.setdefault("pipelines", {})
            for name, each in value.items():
                path = ("pipelines", name)
                if isinstance(pipelines, dict) and name in pipelines:
                    found = f"pipeline {name!r} stands in two files, first at {merged.place(path).file}:{merged.place(path).line}"
                    merged.problems.append(
                        Problem(
                            "conflict", document.place(path), found, remedy="rename one of them"
                        )
                    )
                elif isinstance(pipelines, dict):
                    merged.sources[path] = (document, path)
                    pipelines[name] = _placed(each, document)
        elif first:
            merged.values[key] = _placed(value, document) if key == "defaults" else value
        elif key == "version":
            if value != merged.values.get("version"):
                merged.problems.append(
                    Problem(
                        "conflict",
                        document.place((key,)),
                        f"version {value!r}, the first file has {merged.values.get('version')!r}",
                        "allowed is 1",
                    )
                )
        elif key == "defaults" or key in keys_of(root):
            _only_in_first(merged, document, key, value)
        else:
            place, hint = document.place((key,)), did_you_mean(key, ("pipelines", "version"))
            merged.problems.append(
                Problem(
                    "unknown_key",
                    place,
                    f"unknown key {key!r}",
                    hint or "further files hold pipelines only",
                )
            )


def _only_in_first(merged: Merged, document: Document, key: str, value: Any) -> None:
    mine = merged.values.get(key)
    twice = (
        [name for name in value if name in mine]
        if isinstance(value, dict) and isinstance(mine, dict)
        else []
    )
    also = (
        f"; {', '.join(map(str, twice))} stands in {merged.place((key,)).file}:{merged.place((key, twice[0])).line} too"
        if twice
        else ""
    )
    first = merged.place(()).file
    merged.problems.append(
        Problem(
            "conflict",
            document.place((key,)),
            f"{key} may only stand in the first file{also}",
            "further files hold pipelines only",
            f"move it to {first}",
        )
    )


def _placed(pipeline: Any, document: Document) -> Any:
    """Schemas are relative to the file that names them."""
    if not isinstance(pipeline, dict):
        return pipeline
    directory = Path(document.file).parent

    def file(value: Any) -> Any:
        return str(directory / value) if isinstance(value, str) and value else value

    placed = {key: file(value) if key in SCHEMAS else value for key, value in pipeline.items()}
    decode = placed.get("decode")
    if isinstance(decode, dict) and "writer_schema" in decode:
        written = decode["writer_schema"]
        placed["decode"] = {
            **decode,
            "writer_schema": [file(each) for each in written]
            if isinstance(written, list)
            else file(written),
        }
    return placed


# -- defaults -----------------------------------------------------------------------------------------------------


def _defaults(merged: Merged) -> None:
    defaults = merged.values.pop("defaults", None)
    pipelines = merged.values.get("pipelines")
    if defaults is None:
        return
    if not isinstance(defaults, dict):
        merged.wrong(
            "wrong_type",
            ("defaults",),
            "defaults is no mapping",
            "it is merged under every pipeline",
        )
    elif isinstance(pipelines, dict):
        for name, each in pipelines.items():
            if isinstance(each, dict):
                pipelines[name] = _deep(merged, defaults, ("defaults",), each, ("pipelines", name))


def _deep(
    merged: Merged, under: Mapping[str, Any], base: Path_, over: Mapping[str, Any], path: Path_
) -> dict[str, Any]:
    found = dict(over)
    for key, value in under.items():
        if key not in over:
            found[key] = value
            merged.sources[(*path, key)] = merged.sources.get((*base, key)) or (
                merged.sources[()][0],
                (*base, key),
            )
        elif (
            isinstance(value, dict)
            and isinstance(over[key], dict)
            and not _other_kind(value, over[key])
        ):
            found[key] = _deep(merged, value, (*base, key), over[key], (*path, key))
    return found


def _other_kind(under: Mapping[str, Any], over: Mapping[str, Any]) -> bool:
    """`auth: {type: bearer}` over a default `auth: {type: basic}` has nothing to take from it."""
    return "type" in under and "type" in over and under["type"] != over["type"]


# -- environment --------------------------------------------------------------------------------------------------

Override = tuple[str, list[str], str]


def _overrides(merged: Merged, environ: Mapping[str, str], root: Any) -> list[Override]:
    found = []
    sections = {name.upper(): name for name in keys_of(root)} | {"DEFAULTS": "defaults"}
    for variable in sorted(environ):
        if not variable.startswith(PREFIX) or _from_kubernetes(variable, environ[variable]):
            continue
        parts = variable[len(PREFIX) :].split("__")
        section = sections.get(parts[0].upper())
        if section is None:
            joined = any(parts[0].upper().startswith(f"{each}_") for each in sections)
            hint = (
                "two underscores stand between keys, as in WORKER_ADMIN__LISTEN"
                if joined
                else did_you_mean(parts[0], sections)
            )
            _environment(merged, variable, "overrides nothing", hint, sections)
        elif len(parts) == 1 and _is_section(root, section):
            _environment(
                merged,
                variable,
                f"names the section {section}",
                f"name a key of it: {variable}__...",
                (),
            )
        else:
            found.append((variable, [parts[0].upper(), *parts[1:]], environ[variable]))
    return found


def _from_kubernetes(variable: str, value: str) -> bool:
    if (
        variable == "WORKER_PORT"
        or variable.startswith("WORKER_SERVICE_")
        or _KUBERNETES.fullmatch(variable)
    ):
        return True
    return (
        variable.endswith("_PORT")
        and "__" not in variable
        and bool(_KUBERNETES_URL.fullmatch(value))
    )


def _is_section(root: Any, name: str) -> bool:
    below = annotation_below(root, name, None)
    return name == "defaults" or not _is_scalar(below)


def _is_scalar(annotation: Any) -> bool:
    return model_of(annotation, {}) is None and annotation_below(annotation, "x", {}) is None


def _environment(merged: Merged, variable: str, found: str, hint: str, names: Any) -> None:
    allowed = listed(f"{PREFIX}{name}" for name in names) if names else ""
    remedy = f"{hint}; or unset it" if hint else "correct its name, or unset it"
    merged.problems.append(
        Problem(
            "environment", Place("environment", 0, variable), f"{variable} {found}", allowed, remedy
        )
    )


def _override(merged: Merged, root: Any, variable: str, parts: list[str], text: str) -> None:
    """Sets one value. A part names a key of the config in any case; `-` is written `_`."""
    values: Any = merged.values
    annotation, path = root, ()
    for number, part in enumerate(parts):
        path_now: Path_ = path
        if path_now == ("defaults",):
            annotation = annotation_below(annotation_below(root, "pipelines", None), "x", None)
        name, problem = _named(annotation, values, part, path_now)
        if name is None:
            _environment(merged, variable, problem, "", ())
            return
        last = number == len(parts) - 1
        annotation = annotation_below(annotation, name, values)
        path = (*path_now, name)  # type: ignore[assignment]
        if last:
            values[name] = _typed(annotation, text)
            merged.sources[path] = (variable, ())
            return
        if not isinstance(values.get(name), dict):
            if annotation is not None and _is_scalar(annotation):
                kinds = types_below(annotation)
                why = (
                    f"is not in the config, and may be {', '.join(kinds)}"
                    if kinds
                    else "holds no keys"
                )
                hint = "write it with its type into the file" if kinds else ""
                _environment(
                    merged,
                    variable,
                    f"goes below {'.'.join(map(str, path))}, which {why}",
                    hint,
                    (),
                )
                return
            values[name] = {}
            merged.sources[path] = (variable, ())
        else:
            values[name] = dict(values[name])  # a mapping may be shared by an alias
        values = values[name]


def _named(annotation: Any, values: Any, part: str, path: Path_) -> tuple[str | None, str]:
    """The key that a part of a variable's name means, or what is wrong with it."""
    wanted = part.lower().replace("-", "_")
    there = (
        [key for key in values if str(key).lower().replace("-", "_") == wanted]
        if isinstance(values, dict)
        else []
    )
    exact = [key for key in there if key == part]
    if len(there) == 1 or exact:
        return (exact or there)[0], ""
    if len(there) > 1:
        return None, f"names {' and '.join(there)} alike"
    if path in (("pipelines",), ("origins",)):
        what = str(path[0]).removesuffix("s")
        return (
            None,
            f"names no {what} of the config: an override never creates one; there are {', '.join(values) or 'none'}",
        )
    if not path and part == "DEFAULTS":
        return "defaults", ""
    known = keys_of(model_of(annotation, values))
    if known:
        names = {name.lower().replace("-", "_"): name for name in known}
        if wanted not in names:
            hint = did_you_mean(wanted, names)
            return (
                None,
                f"overrides nothing: {'.'.join(map(str, path))} has no key {wanted!r}; {hint + '; ' if hint else ''}{listed(known)}",
            )
        return names[wanted], ""
    return (part.lower() if part.isupper() else part), ""


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


# -- origins ------------------------------------------------------------------------------------------------------


def _origins(merged: Merged) -> None:
    origins, pipelines = merged.values.get("origins"), merged.values.get("pipelines")
    for name, each in (pipelines if isinstance(pipelines, dict) else {}).items():
        source = each.get("source") if isinstance(each, dict) else None
        if isinstance(source, dict) and "origin" in source:
            each["source"] = _from_origin(
                merged,
                origins if isinstance(origins, dict) else {},
                source,
                ("pipelines", name, "source"),
            )


def _from_origin(
    merged: Merged, origins: Mapping[str, Any], source: Mapping[str, Any], path: Path_
) -> dict[str, Any]:
    name, below, found = source["origin"], source.get("path"), dict(source)
    if "url" in source:
        merged.wrong(
            "conflict",
            (*path, "url"),
            "url and origin are both given",
            "allowed is url, or origin with path",
            "take one of them out",
        )
        return found
    if not isinstance(name, str) or name not in origins:
        hint = did_you_mean(name, origins)
        known = (
            listed(origins)
            if origins
            else "there are no origins: define it in the first file, under `origins:`"
        )
        merged.wrong("not_allowed", (*path, "origin"), f"unknown origin {name!r}", known, hint)
        found["url"] = (
            "http://unknown.invalid/"  # stands in, so that the rest of the source is checked too
        )
        return found
    origin = origins[name]
    if not isinstance(origin, dict):
        return found
    if isinstance(origin.get("url"), str):
        found["url"] = origin["url"].rstrip("/") + (below if isinstance(below, str) else "")
        merged.sources[(*path, "url")] = (merged.sources[()][0], ("origins", name, "url"))
    if "rate_limit" in source and "rate_limit" in origin:
        at = merged.place(("origins", name, "rate_limit"))
        found_text = f"origin {name!r} has a rate_limit already ({at.file}:{at.line})"
        merged.wrong(
            "conflict",
            (*path, "rate_limit"),
            found_text,
            remedy="set it in one of the two places: the origin's is shared by its pipelines",
        )
    for key in FROM_ORIGIN:
        if key in origin and key not in source:
            found[key] = origin[key]
            merged.sources[(*path, key)] = merged.sources.get(("origins", name, key)) or (
                merged.sources[()][0],
                ("origins", name, key),
            )
    return found
