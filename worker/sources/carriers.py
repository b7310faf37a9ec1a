"""What requests carry besides what is written out in the config, and where they carry it. Pure.

The position, the size of a page, the mark, the ends of a window and credentials go to places that
the config names. No place has two of them, and none of them hides what is configured there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol
from urllib.parse import unquote

from worker.config.model import Issues
from worker.config.problems import Path_, shown
from worker.config.secrets import SecretRef
from worker.core.urls import names_in_query
from worker.http.auth import AuthConfig
from worker.http.auth.keys import paths_of
from worker.sources.incremental import Incremental
from worker.sources.pagination.common import StyleConfig
from worker.sources.places import Target, index_in, is_index


class Carrier(NamedTuple):
    """A place of requests that a key of the source fills.

    Attributes:
        path: the key.
        kind: `param`, `header`, `cookie`, `body`, `form`, or `url` for a placeholder in it.
        name: of the parameter, header, cookie or field, or the path in the body.
        always: each request has it; otherwise a configured value counts while there is none, like
            the token of the first page.
    """

    path: Path_
    kind: str
    name: str
    always: bool = True

    @property
    def place(self) -> tuple[str, str]:
        """The same for the same place: names of headers ignore case (RFC 9110, 5.1)."""
        return (self.kind, self.name.lower() if self.kind == "header" else self.name)

    def meets(self, other: Carrier) -> bool:
        """Whether both fill one place, or one of them a place within that of the other."""
        if self.kind == other.kind == "body":
            mine, theirs = self.name.split("."), other.name.split(".")
            return mine[: len(theirs)] == theirs[: len(mine)]
        return self.place == other.place


class Source(Protocol):
    """The keys of a source that say what its requests carry."""

    @property
    def url(self) -> str: ...
    @property
    def method(self) -> str: ...
    @property
    def params(self) -> Mapping[str, Any]: ...
    @property
    def headers(self) -> Mapping[str, Any]: ...
    @property
    def body(self) -> Any: ...
    @property
    def form(self) -> Mapping[str, Any]: ...
    @property
    def text(self) -> str | None: ...
    @property
    def pagination(self) -> StyleConfig: ...
    @property
    def incremental(self) -> Incremental | None: ...
    @property
    def auth(self) -> AuthConfig | tuple[AuthConfig, ...] | None: ...


def carriers_of(source: Source) -> list[Carrier]:
    """Every place that a key of the source fills."""
    return [*_of_pages(source.pagination), *_of_marks(source.incremental), *_of_auth(source.auth)]


def hides(source: Source, kind: str, name: str) -> bool:
    """Whether each request has something else where the config has this parameter or header."""
    place = Carrier((), kind, name).place
    return any(each.always and each.place == place for each in carriers_of(source))


def check_carriers(source: Source, issues: Issues) -> None:
    """Adds every place that is filled twice, or that no request has."""
    carriers = carriers_of(source)
    _check_pairs(carriers, issues)
    _check_query(source, carriers, issues)
    _check_headers(source.headers, issues)
    _check_secrets(source, carriers, issues)
    for each in carriers:
        if each.kind in ("body", "form") and _check_content(source, each, issues):
            (_check_body if each.kind == "body" else _check_form)(source, each, issues)


def _check_secrets(source: Source, carriers: Sequence[Carrier], issues: Issues) -> None:
    """A parameter or header that is a secret is added to each request: nothing else fills it."""
    for key, kind, values in (
        ("params", "param", source.params),
        ("headers", "header", source.headers),
    ):
        for name in (name for name, value in values.items() if isinstance(value, SecretRef)):
            place = Carrier((key, name), kind, name)
            for each in carriers:
                if each.meets(place) and each.path[0] != "auth" and not each.always:
                    issues.add(
                        each.path,
                        f"the {_WORDS[kind]} {name} is sent twice: it is a secret of {key}",
                        *_keys((key, name)),
                        remedy="name another place in one of the two, or take one of them out",
                    )


def _of_pages(style: StyleConfig) -> Iterator[Carrier]:
    for key, target in style.targets:
        yield _carrier(("pagination", key), target, always=style.numbered)
    windows = style.windows
    for name, target in windows.ends if windows is not None else ():
        yield _carrier(("pagination", *style.windows_at, name), target)


def _of_marks(incremental: Incremental | None) -> Iterator[Carrier]:
    if incremental is not None and incremental.to is not None:
        always = incremental.initial is not None
        yield _carrier(incremental.target_path, incremental.to, always=always)


def _of_auth(auth: AuthConfig | tuple[AuthConfig, ...] | None) -> Iterator[Carrier]:
    for path, each in paths_of(auth):
        key, kind, name = each.carried
        yield Carrier((*path, key), kind, name)


def _carrier(path: Path_, target: Target, *, always: bool = True) -> Carrier:
    return Carrier(path, *target.place, always)


def _check_pairs(carriers: Sequence[Carrier], issues: Issues) -> None:
    for number, later in enumerate(carriers):
        for earlier in carriers[:number]:
            if later.meets(earlier) and not _takes_over(earlier, later):
                issues.add(
                    later.path,
                    f"the {_WORDS[later.kind]} {later.name} is sent twice: by {shown(earlier.path)}"
                    f" and by {shown(later.path)}",
                    *_keys(earlier.path),
                    remedy="name another place in one of the two, or take one of them out",
                )


def _takes_over(earlier: Carrier, later: Carrier) -> bool:
    """Whether a token of pages stands where the first request has the mark: it goes on from it."""
    tokens = [each for each in (earlier, later) if each.path[0] == "pagination" and not each.always]
    others = [each for each in (earlier, later) if each.path[0] != "auth"]
    return bool(tokens) and len(others) == 2 and earlier.place == later.place


def _check_query(source: Source, carriers: Iterable[Carrier], issues: Issues) -> None:
    """Each parameter is sent by one of those that add to the query."""
    params = [each for each in carriers if each.kind == "param"]
    _check_written(source, params, issues)
    _check_repeated(source, params, issues)
    for each in params:  # credentials are added, they replace nothing
        if each.path[0] == "auth" and each.name in source.params:
            issues.add(
                ("params", each.name),
                f"the parameter {each.name} is sent twice: here, and by auth",
                "auth",
                remedy="take it out",
            )


def _first_params(source: Source) -> Mapping[str, Any]:
    return {} if source.incremental is None else source.incremental.first


def _check_written(source: Source, params: Iterable[Carrier], issues: Issues) -> None:
    """The query of the url stays as it is written, so what is added to it has other names."""
    written = {unquote(name) for name in names_in_query(source.url)}
    configured = [
        *(Carrier(("params", name), "param", name) for name in source.params),
        *(Carrier(("incremental", "first", name), "param", name) for name in _first_params(source)),
    ]
    for each in (*configured, *params):
        if each.name in written:
            issues.add(
                each.path,
                f"the parameter {each.name} is sent twice: it stands in the query of url too",
                "url",
                remedy="take it out of the query of url, or move it from there to params",
            )


def _check_repeated(source: Source, params: Iterable[Carrier], issues: Issues) -> None:
    """What is sent only with some requests leaves a parameter of several values to the others."""
    values = {**_first_params(source), **source.params}
    for each in params:
        if isinstance(values.get(each.name), tuple) and not each.always:
            issues.add(
                each.path,
                f"the parameter {each.name} has several values in params, and one of its own here",
                *_keys(("params", each.name)),
                remedy="name another parameter in one of the two, or take one of them out",
            )


def _check_headers(headers: Mapping[str, Any], issues: Issues) -> None:
    seen: dict[str, str] = {}
    for name in headers:
        if (other := seen.setdefault(name.lower(), name)) != name:
            issues.add(
                ("headers", name),
                f"the header {name} is sent twice: names of headers ignore case, and {other} is "
                "there",
                remedy="take one of them out",
            )


def _check_content(source: Source, carrier: Carrier, issues: Issues) -> bool:
    """Whether requests have a body of the kind that a carrier writes into."""
    if source.method == "GET":
        issues.add(
            carrier.path,
            f"{carrier.name} goes into the body, and a GET has none",
            "method",
            allowed="param and header are allowed with method: GET",
            remedy="name a param or a header, or set method: POST",
        )
        return False
    kinds = {each.kind for each in carriers_of(source)}
    given = {
        "body": source.body is not None or "body" in kinds,
        "form": bool(source.form) or "form" in kinds,
        "text": source.text is not None,
    }
    other = next((key for key, there in given.items() if there and key != carrier.kind), None)
    if other is not None:
        issues.add(
            carrier.path,
            f"{carrier.name} goes into a {carrier.kind}, and the requests have a {other} instead",
            other,
            allowed=f"param, header{'' if other == 'text' else f' and {other}'} are allowed",
            remedy="write {mark} into the text, or name a param or a header"
            if other == "text"
            else f"write to: {{{other}: ...}}",
        )
    return other is None


def _check_form(source: Source, carrier: Carrier, issues: Issues) -> None:
    if isinstance(source.form.get(carrier.name), tuple) and not carrier.always:
        issues.add(
            carrier.path,
            f"the field {carrier.name} has several values in form, and one of its own here",
            "form",
            remedy="name another field in one of the two, or take one of them out",
        )


def _check_body(source: Source, carrier: Carrier, issues: Issues) -> None:
    keys, there, in_array = carrier.name.split("."), source.body, False
    for depth, key in enumerate(keys):
        at = ".".join(("body", *keys[:depth]))
        if isinstance(there, list) and is_index(key):
            if (index := index_in(key, there)) is None:
                _add_unwritable(
                    carrier,
                    f"the array {at} has {len(there)} elements",
                    f"write the element into {at}; indexes count from 0",
                    issues,
                )
                return
            there, in_array = there[index], True
        elif isinstance(there, dict) and key in there:
            there = there[key]
        else:
            _check_created(carrier, there, keys[depth:], at, issues)
            return
    # an array cannot leave an element out: a plain value in it only holds the place
    holds_place = in_array and not isinstance(there, dict | list)
    if carrier.always and there is not None and not holds_place:
        at = f"body.{carrier.name}"
        issues.add(
            carrier.path,
            f"{at} is configured, and each request has something else there",
            "body",
            remedy=f"take {at} out of the body",
        )


def _check_created(
    carrier: Carrier, there: Any, missing: Sequence[str], at: str, issues: Issues
) -> None:
    """What is missing below `at`, where the body has `there`, is created: objects, no arrays."""
    if there is not None and not isinstance(there, dict):
        _add_unwritable(
            carrier,
            f"{at} is no object there",
            f"make {at} an object, or write to another path",
            issues,
        )
    elif any(map(is_index, missing if there is None else missing[1:])):
        _add_unwritable(
            carrier,
            f"it has an index, and there is no array below {at}: only objects are created",
            "write the array and its elements into the body",
            issues,
        )


def _add_unwritable(carrier: Carrier, why: str, remedy: str, issues: Issues) -> None:
    found = f"{carrier.name} cannot be written into the body: {why}"
    issues.add(carrier.path, found, "body", remedy=remedy)


_WORDS = {
    "param": "parameter",
    "header": "header",
    "cookie": "cookie",
    "body": "path in the body",
    "url": "placeholder in the url",
    "form": "field",
}


def _keys(path: Path_) -> tuple[str, ...]:
    """Names of keys that a verdict rests on."""
    return tuple(str(each) for each in path[-1:])
