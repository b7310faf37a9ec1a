"""Several files, `defaults`, `origins` and the environment -> one tree of values with their places.

1 files        the first one, and the pipelines of all
2 defaults     under every pipeline: maps deep, lists replaced
3 environment  WORKER_A__B=value; it changes what is there, and never makes a pipeline
4 origins      `source: {origin: example, path: /v1}` gets the url and what else the origin says
"""

from __future__ import annotations

import glob
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from worker.config.environment import apply, overrides_in
from worker.config.merged import Merged
from worker.config.model import keys_of
from worker.config.problems import Path_, Problem, did_you_mean, listed
from worker.config.yaml import Document

FROM_ORIGIN: Final = ("auth", "rate_limit", "concurrency")
SCHEMAS: Final = ("schema", "output_schema")


def merge(documents: Sequence[Document], environ: Mapping[str, str], root: Any) -> Merged:
    """The tree that `root`, the model of the whole config, is made of.

    Problems are in it, nothing is raised.
    """
    merged = Merged()
    for document in documents:
        merged.problems += document.problems
        _add(merged, document, root)
    overrides = overrides_in(merged, environ, root)
    # what changes `defaults` comes before they are merged, what changes pipelines after it
    for each in overrides:
        if each.parts[0] != "PIPELINES":
            apply(merged, root, each)
    _defaults(merged)
    for each in overrides:
        if each.parts[0] == "PIPELINES":
            apply(merged, root, each)
    _origins(merged)
    return merged


# -- files -----------------------------------------------------------------------------------------


def _add(merged: Merged, document: Document, root: Any) -> None:
    first = not merged.sources
    if first:
        merged.sources[()] = (document, ())
    for key, value in document.values.items():
        if key == "pipelines" and isinstance(value, dict):
            _add_pipelines(merged, document, value)
        elif first:
            merged.values[key] = _placed(value, document) if key == "defaults" else value
        elif (problem := _further(merged, document, root, key)) is not None:
            merged.problems.append(problem)


def _add_pipelines(merged: Merged, document: Document, pipelines: Mapping[str, Any]) -> None:
    mine = merged.values.setdefault("pipelines", {})
    if not isinstance(mine, dict):
        return  # the first file has something else there, which its model refuses
    for name, each in pipelines.items():
        path = ("pipelines", name)
        if name in mine:
            at = merged.place(path)
            found = f"pipeline {name!r} stands in two files, first at {at.file}:{at.line}"
            merged.problems.append(
                Problem("conflict", document.place(path), found, remedy="rename one of them")
            )
        else:
            merged.sources[path] = (document, path)
            mine[name] = _placed(each, document)


def _further(merged: Merged, document: Document, root: Any, key: str) -> Problem | None:
    """What is wrong with a key of a file that is not the first one, and has pipelines only."""
    place = document.place((key,))
    if key == "version":
        version, first = document.values[key], merged.values.get("version")
        found = f"version {version!r}, the first file has {first!r}"
        return None if version == first else Problem("conflict", place, found, "allowed is 1")
    if key == "defaults" or key in keys_of(root):
        return Problem(
            "conflict",
            place,
            f"{key} may only stand in the first file{_also_in_first(merged, document, key)}",
            "further files hold pipelines only",
            f"move it to {merged.place(()).file}",
        )
    hint = did_you_mean(key, ("pipelines", "version"))
    allowed = hint or "further files hold pipelines only"
    return Problem("unknown_key", place, f"unknown key {key!r}", allowed)


def _also_in_first(merged: Merged, document: Document, key: str) -> str:
    """Names that the first file has under a key too."""
    mine, theirs = merged.values.get(key), document.values[key]
    if not isinstance(mine, dict) or not isinstance(theirs, dict):
        return ""
    twice = [name for name in theirs if name in mine]
    if not twice:
        return ""
    at = merged.place((key, twice[0]))
    return f"; {', '.join(map(str, twice))} stands in {at.file}:{at.line} too"


def _with_files(source: Any, file: Callable[[Any], Any]) -> Any:
    """A source whose partitions are found in files, at their places."""
    if not isinstance(source, dict) or not isinstance(source.get("partitions"), dict):
        return source
    placed = {
        name: {**each, "file": file(each["file"])} if _is_in_file(each) else each
        for name, each in source["partitions"].items()
    }
    return {**source, "partitions": placed}


def _is_in_file(values: Any) -> bool:
    return isinstance(values, dict) and "file" in values


def _placed(pipeline: Any, document: Document) -> Any:
    """Schemas are relative to the file that names them."""
    if not isinstance(pipeline, dict):
        return pipeline
    directory = Path(document.file).parent

    def file(value: Any) -> Any:
        return str(directory / value) if isinstance(value, str) and value else value

    def schema(value: Any) -> Any:
        if not isinstance(value, dict):
            return file(value)
        placed = {key: file(each) if key == "file" else each for key, each in value.items()}
        if "with" in value:
            others = value["with"] if isinstance(value["with"], list) else [value["with"]]
            escaped = Path(glob.escape(str(directory)))
            placed["with"] = [
                str(escaped / each) if isinstance(each, str) else each for each in others
            ]
        return placed

    placed = {key: schema(value) if key in SCHEMAS else value for key, value in pipeline.items()}
    if (source := placed.get("source")) is not None:
        placed["source"] = _with_files(source, file)
    decode = placed.get("decode")
    if isinstance(decode, dict) and "writer_schema" in decode:
        files = decode["writer_schema"]
        files = [file(each) for each in files] if isinstance(files, list) else file(files)
        placed["decode"] = {**decode, "writer_schema": files}
    return placed


# -- defaults --------------------------------------------------------------------------------------


def _defaults(merged: Merged) -> None:
    defaults = merged.values.pop("defaults", None)
    pipelines = merged.values.get("pipelines")
    if defaults is None:
        return
    if not isinstance(defaults, dict):
        merged.note(
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
    """`over` with what it lacks from `under`; `path` and `base` are their paths."""
    found = dict(over)
    for key, value in under.items():
        if key not in over:
            found[key] = value
            merged.take((*path, key), (*base, key))
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


# -- origins ---------------------------------------------------------------------------------------


def _origins(merged: Merged) -> None:
    origins, pipelines = merged.values.get("origins"), merged.values.get("pipelines")
    for name, each in (pipelines if isinstance(pipelines, dict) else {}).items():
        source = each.get("source") if isinstance(each, dict) else None
        if isinstance(source, dict) and "origin" in source:
            known = origins if isinstance(origins, dict) else {}
            each["source"] = _from_origin(merged, known, source, ("pipelines", name, "source"))


def _from_origin(
    merged: Merged, origins: Mapping[str, Any], source: Mapping[str, Any], path: Path_
) -> dict[str, Any]:
    """The source with the url and what else its origin says."""
    name = source["origin"]
    if "url" in source:
        merged.note(
            "conflict",
            (*path, "url"),
            "url and origin are both given",
            "allowed is url, or origin with path",
            "take one of them out",
        )
        return dict(source)
    if not isinstance(name, str) or name not in origins:
        none = "there are no origins: define it in the first file, under `origins:`"
        known = listed(origins) if origins else none
        hint = did_you_mean(name, origins)
        merged.note("not_allowed", (*path, "origin"), f"unknown origin {name!r}", known, hint)
        # stands in, so that the rest of the source is checked too
        return {**source, "url": "http://unknown.invalid/"}
    origin = origins[name]
    return _joined(merged, origin, source, path) if isinstance(origin, dict) else dict(source)


def _joined(
    merged: Merged, origin: Mapping[str, Any], source: Mapping[str, Any], path: Path_
) -> dict[str, Any]:
    found, below = dict(source), source.get("path")
    base: Path_ = ("origins", source["origin"])
    if isinstance(origin.get("url"), str):
        found["url"] = origin["url"].rstrip("/") + (below if isinstance(below, str) else "")
        merged.sources[(*path, "url")] = (merged.first, (*base, "url"))
    if "rate_limit" in source and "rate_limit" in origin:
        at = merged.place((*base, "rate_limit"))
        merged.note(
            "conflict",
            (*path, "rate_limit"),
            f"origin {source['origin']!r} has a rate_limit already ({at.file}:{at.line})",
            remedy="set it in one of the two places: the origin's is shared by its pipelines",
        )
    for key in FROM_ORIGIN:
        if key in origin and key not in source:
            found[key] = origin[key]
            merged.take((*path, key), (*base, key))
    return found
