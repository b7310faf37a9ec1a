"""Which `Host` a request to the admin server may have.

A page in a browser cannot read another origin, unless its own name is made to lead here (DNS
rebinding): the browser then asks this server in the name of that page. It says so in `Host`, which
no page can change. So a name counts only where the operator knows it; an address is no name.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from ipaddress import ip_address
from typing import Final

from aiohttp import web

LOCAL: Final = "localhost"
MISDIRECTED: Final = 421


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


def refuse_unknown(names: Collection[str]) -> Callable[..., Awaitable[web.StreamResponse]]:
    """A middleware that answers 421 to a request whose `Host` is not known.

    A request without one is of no browser.
    """

    @web.middleware
    async def guard(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        host = request.headers.get("Host")
        if host is None or is_known(host, names):
            return await handler(request)
        text = (
            f"the host {host!r} of this request is not known here; ask by address, or add the name"
            " to admin.hosts\n"
        )
        return web.Response(status=MISDIRECTED, text=text)

    return guard
