"""Headers as mappings: names ignore case (RFC 9110, 5.1). Pure."""

from __future__ import annotations

from collections.abc import Mapping


def with_headers(under: Mapping[str, str], over: Mapping[str, str]) -> dict[str, str]:
    """The headers of both; those of `over` replace the ones of the same name."""
    if not over:
        return dict(under)
    taken = {name.lower() for name in over}
    return {**{name: each for name, each in under.items() if name.lower() not in taken}, **over}
