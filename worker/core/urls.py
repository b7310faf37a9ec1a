"""How values stand in a URL, and when two origins are the same (RFC 3986). Pure.

What a config has written stays as it is written; a value that is filled in is data, so that
whatever would have a meaning at its place is percent-encoded: `/ ? #` in a segment, `& + #` in a
query. A space is %20 everywhere, because strict servers take + for a plus.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from ipaddress import ip_address
from typing import Final
from urllib.parse import quote, urlsplit

_IN_SEGMENT: Final = "!$'()*,:@"
_IN_QUERY: Final = f"{_IN_SEGMENT}/?"
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_UNSAFE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})|[^%!#$&'()*+,/:;=?@\[\]~._\-0-9A-Za-z]")
"""What no URL may have (RFC 3986, 2): all but reserved and unreserved characters, and a lone %."""
_UNSAFE_OR_SECRET: Final = re.compile(rf"(?P<secret>\{{secret\.[^{{}}]*\}})|{_UNSAFE.pattern}")
_NO_QUERY_VALUE: Final = re.compile(rf"{_UNSAFE.pattern}|[&#]")
"""What ends a value of a query, or cannot stand in one."""
_ORIGIN: Final = re.compile(r"[A-Za-z][\w+.-]*://[^/?#]*", re.ASCII)


def in_query(text: str) -> str:
    """A name or a value of a query parameter."""
    return quote(text, safe=_IN_QUERY, errors="surrogatepass")


def in_segment(text: str) -> str:
    """A value within one segment of a path."""
    return quote(text, safe=_IN_SEGMENT, errors="surrogatepass")


def in_path(text: str) -> str:
    """A value of several segments of a path, with `/` between them."""
    return "/".join(map(in_segment, text.split("/")))


def as_written(text: str) -> str:
    """A URL of a config: only what no URL may have is percent-encoded.

    `{secret.NAME}` stays, until the request is sent.
    """
    return _UNSAFE_OR_SECRET.sub(lambda match: match["secret"] or quote(match[0], safe=""), text)


def not_in_query(text: str) -> str:
    """The first character of a text for which it cannot be a value of a query as it is: one that
    no URL may have, a lone `%`, and `&` and `#`, which end the value. Empty where there is none.
    """
    found = _NO_QUERY_VALUE.search(text)
    return found[0] if found else ""


def with_query(url: str, params: Iterable[tuple[str, str]]) -> str:
    """A URL with parameters after its query, which stays as it is written."""
    return _with_pairs(url, (f"{in_query(name)}={in_query(value)}" for name, value in params))


def with_encoded(url: str, values: Mapping[str, str]) -> str:
    """The same with parameters whose values are percent-encoded already."""
    return _with_pairs(url, (f"{in_query(name)}={value}" for name, value in values.items()))


def _with_pairs(url: str, pairs: Iterable[str]) -> str:
    added = "&".join(pairs)
    if not added:
        return url
    url, mark, fragment = url.partition("#")
    joint = "" if url.endswith(("?", "&")) else "&" if "?" in url else "?"
    return f"{url}{joint}{added}{mark}{fragment}"


def names_in_query(url: str) -> list[str]:
    """The names of the parameters that the query of a URL has, as they are written."""
    return [each.partition("=")[0] for each in urlsplit(url).query.split("&") if each]


def origin_of(url: str) -> str:
    """Scheme, host and port of an absolute URL, so that equal origins are equal texts.

    Case, a trailing dot, the default port and the way in which a name beyond ASCII is written
    make no difference. Raises ValueError for a URL without a host.
    """
    match = _ORIGIN.match(url)
    return _normal_origin(match[0] if match else "")


def to_origin(url: str) -> str:
    """An absolute URL with its origin as `origin_of` writes it, and the rest as it is.

    A user and a password are left out. Raises ValueError for a URL without a host.
    """
    match = _ORIGIN.match(url)
    rest = url[match.end() :] if match else ""
    return f"{origin_of(url)}{'' if rest.startswith('/') else '/'}{rest}"


@lru_cache(maxsize=1024)
def _normal_origin(text: str) -> str:
    parts = urlsplit(text)
    scheme, host, port = parts.scheme, parts.hostname or "", parts.port
    host = host.removesuffix(".")
    if not host:
        raise ValueError("a URL needs a host")
    if not host.isascii():
        host = _ascii_host(host)
    if ":" in host:
        host = f"[{ip_address(host).compressed}]"
    return f"{scheme}://{host}{'' if port in (None, _DEFAULT_PORTS.get(scheme)) else f':{port}'}"


def at_origin(url: str, origin: str) -> str:
    """A URL of `http` or `https` with another origin, and the rest as it is.

    Any other text is returned as it is: it names no origin that could be another one.
    """
    match = _ORIGIN.match(url)
    if match is None or not match[0].lower().startswith(("http://", "https://")):
        return url
    rest = url[match.end() :]
    return f"{origin}{'' if rest.startswith('/') else '/'}{rest}"


def _ascii_host(host: str) -> str:
    """A host name as it is asked for in the DNS (RFC 5891)."""
    from yarl import URL  # only names beyond ASCII need it

    return (URL.build(scheme="http", host=host).raw_host or "").removesuffix(".")
