"""Which `Host` a request to the admin server may have.

A page in a browser cannot read another origin, unless its own name is made to lead here (DNS
rebinding): the browser then asks this server in the name of that page. It says so in `Host`, which
no page can change. So a name counts only where the operator knows it; an address is no name.
"""

from __future__ import annotations

from collections.abc import Collection
from ipaddress import ip_address
from typing import Final

LOCAL: Final = "localhost"


def is_known(host: str, names: Collection[str]) -> bool:
    """Whether a `Host` header is an address, `localhost` or one of the names, with any port.

    Names are compared without case and without a dot at the end.
    """
    name = _without_port(host)
    try:
        ip_address(name)
    except ValueError:
        name = _folded(name)
        return name == LOCAL or name in {_folded(each) for each in names}
    return True


def _without_port(host: str) -> str:
    if host.startswith("["):  # of an IPv6 address
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


def _folded(name: str) -> str:
    return name.lower().removesuffix(".")


def refusal(host: str | None, names: Collection[str]) -> str:
    """Why a request with this `Host` is not answered; empty where it is.

    A request without one is of no browser.
    """
    if host is None or is_known(host, names):
        return ""
    return (
        f"the host {host!r} of this request is not known here; ask by address, or add the name"
        " to admin.hosts\n"
    )
