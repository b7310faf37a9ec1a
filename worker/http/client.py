"""The one HTTP client, with limits on time, bytes and hops.

Credentials and redirects are bound to their origin. It returns complete bodies or raises an error:
TransientError for what may work later, PermanentError for what will not. Messages never carry a
query, which may hold secrets.
"""

from __future__ import annotations

import asyncio
import mmap
import re
import ssl
import tempfile
from collections.abc import Awaitable, Callable, Container, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, Final
from urllib.parse import urljoin

import aiofiles
import aiohttp
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from worker.core.errors import PermanentError, ProxyRefused, TransientError, WorkerError
from worker.core.model import Request
from worker.core.urls import as_written, origin_of, to_origin, with_query
from worker.http.auth import Auth, Outgoing
from worker.http.body import BodyDecoder, BodyLimits
from worker.http.body_form import AS_IT_COMES, BodyForm
from worker.http.codings import accepted_codings
from worker.http.headers import REDIRECTS, with_headers, without_credentials
from worker.http.in_url import put_back
from worker.http.proxy import Route, Via
from worker.http.redact import credentials_in, redact, url_stripper
from worker.http.zip_file import only_file
from worker.runtime.descriptors import EXHAUSTED, are_exhausted, exhausted

SPOOL_BYTES: Final = 8 * 1024 * 1024
"""Larger bodies are kept in a file."""
SPOOL_PIECES: Final = 16
"""Pieces of a body that are written to its file at once."""
READ_BYTES: Final = 256 * 1024
HEADER_BYTES: Final = 64 * 1024
"""Of one header: the link to the next page may be as long as a token may be."""
DETAIL_CHARS: Final = 100
UNBOUNDED: Final = 1 << 62
MAX_HOPS: Final = 5
PROXY_AUTH_NEEDED: Final = 407
HTTP_ERRORS: Final = 400
"""From this status on a body is no page."""
SEE_OTHER: Final = 303
"""Another place is to be asked with GET, whatever was sent here (RFC 9110, 15.4.4)."""
BODILESS: Final = frozenset({204, 304})
ONE_VALUE: Final = frozenset(
    {
        "content-encoding",
        "content-length",
        "content-type",
        "date",
        "etag",
        "last-modified",
        "location",
        "retry-after",
    }
)
_DESCRIBES: Final = re.compile("(?i)content-")
_NO_HEADER: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Limits of time for one exchange, in seconds.

    Attributes:
        connect_s: to connect.
        read_s: between two reads.
        total_s: for the whole exchange.
        floor_bytes_s: the least average rate of a body, in bytes per second.
        floor_after_s: how long a body comes in before that rate is demanded.
    """

    connect_s: float = 10.0
    read_s: float = 30.0
    total_s: float = 60.0
    floor_bytes_s: float = 100.0
    floor_after_s: float = 20.0


@dataclass(frozen=True, slots=True)
class Response:
    """A complete answer.

    Attributes:
        headers: names ignore case, and lines of one name are one value.
        body: decoded; bytes, or the map of a spooled file.
        url: where it came from, without credentials.
        credentials: the headers of the Auth that were sent with the request.
        params: the parameters of the Auth that were sent with it.
        in_url: its secrets that were filled into the URL, by their names.
        secrets: everything secret that was sent, which the answer may repeat.
        trusted: it came from an origin that gets credentials.
        set_cookies: the values of its lines `Set-Cookie`, which cannot be joined (RFC 6265, 3).
    """

    status: int
    headers: Mapping[str, str]
    body: Any
    url: str
    wire_bytes: int = 0
    credentials: Mapping[str, str] = field(default_factory=dict, repr=False)
    params: Mapping[str, str] = field(default_factory=dict, repr=False)
    in_url: Mapping[str, str] = field(default_factory=dict, repr=False)
    secrets: frozenset[str] = field(default=frozenset(), repr=False)
    trusted: bool = False
    set_cookies: tuple[str, ...] = field(default=(), repr=False)


Receive = Callable[[int], Awaitable[int]]
"""Room for a body; see `Room.receive`."""


async def _any_room(body_bytes: int) -> int:
    return UNBOUNDED


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What is asked about an answer; see `HttpClient.fetch`."""

    doubtful: Container[int]
    receive: Receive


@dataclass(slots=True)
class _Sent:
    """What was sent with a request and its redirects, whose paths and queries may repeat it.

    Attributes:
        secrets: the secret parts.
        names: of parameters that carry one.
        via: the proxy of the last hop.
    """

    secrets: set[str] = field(default_factory=set)
    names: set[str] = field(default_factory=set)
    via: Via | None = None


@dataclass(frozen=True, slots=True)
class _Exchange:
    """A request as it is sent."""

    request: Outgoing
    wanted: _Wanted
    via: Via | None


class TlsError(PermanentError):
    """The certificate of the server is not trusted, or the TLS handshake failed.
    Name the authority that signed the certificate in `tls.ca_file`, or correct the host of the URL.
    """

    code = "tls"


DISTRUSTED: Final = (
    "name the authority that signed it in tls.ca_file, or correct the host of the url"
)

# What an exception of the libraries means: the first class that fits. Any other is a bug of ours.
_FAULTS: Final[tuple[tuple[type[BaseException], type[WorkerError], str], ...]] = (
    (aiohttp.ClientConnectorCertificateError, TlsError, "the certificate is not trusted"),
    (aiohttp.ClientSSLError, TlsError, "the TLS handshake failed"),
    (ssl.SSLError, TransientError, "the TLS connection broke"),
    (TimeoutError, TransientError, "no answer in time"),
    (aiohttp.ClientPayloadError, TransientError, "the body broke off"),
    (aiohttp.ClientConnectorDNSError, TransientError, "the host name does not resolve"),
    (aiohttp.ClientProxyConnectionError, TransientError, "the proxy cannot be reached"),
    (aiohttp.ClientConnectionError, TransientError, "the connection failed"),
    (aiohttp.InvalidURL, PermanentError, "the URL is not valid"),
    (aiohttp.ClientError, TransientError, "the exchange failed"),
    (OSError, TransientError, "the connection failed"),
)


class HttpClient:
    """The connections of one pipeline to its origin; an async context manager.

    Args:
        origin: where requests, followed links and redirects go, with credentials.
        proxy: the proxy of each request; None: none goes through one.
        allowed_origins: URLs of the other origins that links and redirects may lead to, and whether
            they get credentials.
        spool: directory for bodies over 8 MiB; their files are unlinked at once, and live as long
            as the response.
        form: what bodies are written in.
        repeats: a request may be sent twice. Servers close idle connections, and whether one is
            open shows only when it is used: a request that finds it closed is sent again then.
            Without it each request has a connection of its own.
    """

    def __init__(
        self,
        origin: str,
        *,
        user_agent: str,
        timeouts: Timeouts,
        limits: BodyLimits,
        connections: int,
        spool: Path,
        tls: ssl.SSLContext | bool = True,
        proxy: Route | None = None,
        allowed_origins: Mapping[str, bool] = MappingProxyType({}),
        form: BodyForm = AS_IT_COMES,
        repeats: bool = True,
    ) -> None:
        self._origin = origin_of(origin)
        trusted = (url for url, gets_credentials in allowed_origins.items() if gets_credentials)
        self._allowed = frozenset({self._origin, *map(origin_of, allowed_origins)})
        self._trusted = frozenset({self._origin, *map(origin_of, trusted)})
        self._user_agent, self._tls, self._connections = user_agent, tls, connections
        self._timeouts, self._limits = timeouts, limits
        self._spool, self._repeats, self._form = spool, repeats, form
        self._proxy = proxy
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> HttpClient:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=self._connections,
                limit_per_host=self._connections,
                force_close=not self._repeats,
                ssl=self._tls,
                ttl_dns_cache=30,
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(
                total=self._timeouts.total_s,
                sock_connect=self._timeouts.connect_s,
                sock_read=self._timeouts.read_s,
            ),
            auto_decompress=False,
            trust_env=False,
            headers={
                "User-Agent": self._user_agent,
                "Accept-Encoding": accepted_codings(),
            },
            read_bufsize=READ_BYTES,
            max_line_size=HEADER_BYTES,
            max_field_size=HEADER_BYTES,
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def fetch(
        self,
        request: Request,
        auth: Auth | None = None,
        *,
        receive: Receive = _any_room,
        doubtful: Container[int] = (),
        stays: Callable[[Response], bool] = lambda response: False,
    ) -> Response:
        """One exchange with its redirects (RFC 9110, 15.4).

        Args:
            receive: gives room for the body.
            doubtful: the statuses of redirects that may be answers themselves; their bodies are
                read.
            stays: whether such a redirect is an answer, which is not followed.

        Raises TransientError, PermanentError and what `receive` raises.
        """
        url = self._checked(
            _parsed(request.url) if request.followed else _configured(request), "the next link"
        )
        sent = _Sent()
        try:
            for _ in range(MAX_HOPS + 1):
                asked = Outgoing(request.method, str(url), dict(request.headers), request.body)
                answer = await self._hop(asked, auth, sent, _Wanted(doubtful, receive))
                if not _leads_on(answer) or (answer.status in doubtful and stays(answer)):
                    return answer
                place = put_back(answer.headers["Location"], answer.in_url)
                place = url_stripper(tuple(sent.names))(place)
                url = self._checked(_parsed(place, base=url), "a redirect")
                request = _redirected(request, answer.status, url)
            raise PermanentError(
                f"more than {MAX_HOPS} redirects at {_shown(url)}", remedy="configure the final URL"
            )
        except Exception as error:
            raise _through(sent.via, _translated(error, url, sent.secrets)) from error

    async def _hop(
        self, asked: Outgoing, auth: Auth | None, sent: _Sent, wanted: _Wanted
    ) -> Response:
        """The answer to one request, with the credentials that may go where it goes."""
        url = asked.url
        trusted = origin_of(url) in self._trusted
        if not trusted:
            headers = without_credentials(asked.headers)
            asked = Outgoing(asked.method, asked.url, headers, asked.body)
        elif auth is not None:
            asked = await auth.authorize(asked)
            sent.names |= asked.params.keys()
            sent.secrets |= credentials_in(asked.credentials, {**asked.params, **asked.in_url})
        _check_headers(asked.headers)
        sent.via = None if self._proxy is None else await self._proxy(url)
        if sent.via is not None:
            sent.secrets |= credentials_in(sent.via.headers, {})
        answer = await self._answer(_Exchange(asked, wanted, sent.via))
        if sent.via is not None and answer.status == PROXY_AUTH_NEEDED:
            raise _refused_by_proxy(answer.status)
        answer = replace(
            answer,
            url=url,
            credentials=asked.credentials,
            params=asked.params,
            in_url=asked.in_url,
            secrets=frozenset(sent.secrets),
            trusted=trusted,
        )
        if trusted and auth is not None:
            auth.answered(answer)
        return answer

    def _checked(self, url: URL, what: str) -> URL:
        if (
            not url.is_absolute()
            or url.scheme not in ("http", "https")
            or str(url.origin()) not in self._allowed
        ):
            place = url.origin() if url.is_absolute() and url.host else "no http origin"
            raise PermanentError(
                f"{what} leads to {place}, the source is {self._origin}",
                remedy="only the configured origin is followed; where this one is meant too, name "
                "it in source.allowed_origins",
            )
        return url

    async def _answer(self, outgoing: _Exchange) -> Response:
        """The answer to a request, which is sent again where its connection was closed before."""
        try:
            return await self._exchange(outgoing)
        except aiohttp.ClientConnectorError:
            raise
        except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError):
            was_repeated = outgoing.request.method == "GET"  # by aiohttp
            if was_repeated or not self._repeats:
                raise
            return await self._exchange(outgoing)

    async def _exchange(self, outgoing: _Exchange) -> Response:
        """The answer; the body of a redirect is left out unless its status is doubtful."""
        assert self._session is not None, "use the client as an async context manager"
        request, via, headers = outgoing.request, outgoing.via, outgoing.request.headers
        url = URL(request.url, encoded=True)
        if via is not None and url.scheme == "http":
            headers = with_headers(headers, via.headers)  # there is no CONNECT that would have them
        async with self._session.request(
            request.method,
            url,
            headers=headers,
            data=request.body,
            allow_redirects=False,
            proxy=None if via is None else via.url,
            proxy_headers=None if via is None else via.headers,
        ) as answer:
            if _leads_on(answer) and answer.status not in outgoing.wanted.doubtful:
                return Response(
                    answer.status,
                    _joined(answer.headers),
                    b"",
                    str(answer.url),
                    set_cookies=_cookies_of(answer),
                )
            return await self._received(answer, outgoing.wanted.receive)

    async def _received(self, answer: aiohttp.ClientResponse, receive: Receive) -> Response:
        decoder = BodyDecoder.of(
            answer.headers.get("Content-Encoding", ""),
            self._limits,
            self._form if answer.status < HTTP_ERRORS else self._form.lenient,
            answer.headers.get("Content-Type", ""),
        )
        length = _length_of(answer)
        self._limits.refuse_unholdable(length)
        allowed = _Allowed(receive, await receive(length))
        loop = asyncio.get_running_loop()
        started = loop.time()
        async with _Spool(self._spool) as spool:
            async for data in answer.content.iter_any():
                await spool.take(decoder.feed(data), decoder, allowed)
                self._check_rate(decoder.wire_bytes, loop.time() - started)
            ending = decoder.finish(may_be_empty=_says_its_length(answer))
            await spool.take(ending, decoder, allowed)
            body = await spool.body()
        wire_bytes = decoder.wire_bytes
        while decoder.is_zip:
            body, decoder = await self._unzipped(body, decoder, allowed)
        return Response(
            status=answer.status,
            headers=_joined(answer.headers),
            body=body,
            url=str(answer.url),
            wire_bytes=wire_bytes,
            set_cookies=_cookies_of(answer),
        )

    async def _unzipped(
        self, archive: Any, decoder: BodyDecoder, allowed: _Allowed
    ) -> tuple[Any, BodyDecoder]:
        """The file in an archive, which is held beside it meanwhile."""
        entry = only_file(archive)
        inner = decoder.unzipping(entry)
        allowed = replace(allowed, held_bytes=len(archive))
        async with _Spool(self._spool) as spool:
            for at in range(entry.start, entry.end, READ_BYTES):
                data = archive[at : min(at + READ_BYTES, entry.end)]
                await spool.take(inner.feed(data), inner, allowed)
            await spool.take(inner.finish(), inner, allowed)
            return await spool.body(), inner

    def _check_rate(self, wire_bytes: int, elapsed_s: float) -> None:
        """Raises TransientError for a body that comes in too slowly ever to be complete."""
        limits = self._timeouts
        if elapsed_s > limits.floor_after_s and wire_bytes < elapsed_s * limits.floor_bytes_s:
            rate = wire_bytes / elapsed_s
            raise TransientError(f"the body trickles in at {rate:.0f} bytes a second")


def _leads_on(answer: Response | aiohttp.ClientResponse) -> bool:
    """Whether an answer is a redirect."""
    return answer.status in REDIRECTS and "Location" in answer.headers


def _cookies_of(answer: aiohttp.ClientResponse) -> tuple[str, ...]:
    return tuple(answer.headers.getall("Set-Cookie", ()))


def _redirected(request: Request, status: int, url: URL) -> Request:
    """The request behind a redirect to a URL (RFC 9110, 15.4). Raises PermanentError for one that
    may not be sent again.
    """
    if status == SEE_OTHER:
        return _without_content(request)
    if request.method in ("GET", "HEAD"):
        return request
    raise PermanentError(
        f"{request.method} was redirected to {_shown(url)}", remedy="configure the final URL"
    )


def _without_content(request: Request) -> Request:
    """A GET without a body and the headers that describe one (RFC 9110, 8.3 to 8.6)."""
    kept = ((name, each) for name, each in request.headers if not _DESCRIBES.match(name))
    return replace(request, method="GET", headers=tuple(kept), body=None)


def _length_of(answer: aiohttp.ClientResponse) -> int:
    """How many bytes will come, as far as the answer says. None come where a length is only told
    (RFC 9110, 8.6).
    """
    bodiless = answer.method == "HEAD" or answer.status in BODILESS
    return 0 if bodiless else answer.content_length or 0


def _says_its_length(answer: aiohttp.ClientResponse) -> bool:
    """Whether an empty body is complete.

    A body without a length ends with the connection, which may have broken off (RFC 9112, 6.3).
    """
    return (
        answer.status in BODILESS
        or "Content-Length" in answer.headers
        or "Transfer-Encoding" in answer.headers
    )


def _configured(request: Request) -> URL:
    """The URL of a request that the config describes."""
    return URL(with_query(as_written(to_origin(request.url)), request.params), encoded=True)


def _parsed(text: str, *, base: URL | None = None) -> URL:
    """A URL that the server sent, verbatim but for its origin, and without user and password.

    Those would be sent as credentials. Raises PermanentError for text that is no URL.

    Args:
        base: what a relative one belongs to.
    """
    try:
        if base is not None:
            text = urljoin(str(base), text)
        url = URL(text, encoded=True)
        if not url.is_absolute():
            return url
        url = URL(to_origin(text), encoded=True)
        # yarl parses, and refuses, these parts only when they are read
        _ = str(url.origin()).encode(), url.host, url.port
        return url
    except ValueError as error:
        raise PermanentError(
            "the server sent a link that is no URL",
            remedy="only URLs of the configured origin are followed",
        ) from error


def _joined(lines: CIMultiDictProxy[str]) -> Mapping[str, str]:
    """Headers with the lines of one name as one value (RFC 9110, 5.3).

    The link to the next page may be in any of the lines. A line that comes twice counts once.
    """
    names = dict.fromkeys(name.lower() for name in lines)
    if len(names) == len(lines):
        return lines
    return CIMultiDict(
        (name, lines[name] if name in ONE_VALUE else ", ".join(dict.fromkeys(lines.getall(name))))
        for name in names
    )


def _check_headers(headers: Mapping[str, str]) -> None:
    """Raises PermanentError for a value that is no header (RFC 9110, 5.5).

    A token that a server sent may become a header of the next request; it must not become two.
    """
    for name, value in headers.items():
        if _NO_HEADER.search(value):
            raise PermanentError(
                f"the value for header {name} has characters that no header may have",
                remedy="check where the value comes from",
            )


@dataclass(slots=True)
class _Allowed:
    """How large a body may become until there is asked for more room; `held_bytes` are beside
    it."""

    receive: Receive
    body_bytes: int
    held_bytes: int = 0


class _Spool:
    """Collects a body: in memory up to 8 MiB, in an unnamed file beyond."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._pieces: list[bytes] = []
        self._size = 0
        self._file: Any = None

    async def __aenter__(self) -> _Spool:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._pieces = []  # an error on its way up still has this object in its traceback
        if self._file is not None:
            await self._file.close()

    async def take(self, pieces: Iterable[bytes], decoder: BodyDecoder, allowed: _Allowed) -> None:
        """Adds what a decoder makes, as far as there is room for it."""
        for piece in pieces:
            if (held_bytes := decoder.body_bytes + allowed.held_bytes) > allowed.body_bytes:
                allowed.body_bytes = await allowed.receive(held_bytes)
            await self.add(piece)

    async def add(self, piece: bytes) -> None:
        self._pieces.append(piece)
        self._size += len(piece)
        if self._size > SPOOL_BYTES:
            if self._file is None:
                self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
                descriptor, name = tempfile.mkstemp(dir=self._directory)
                Path(name).unlink()
                self._file = await aiofiles.open(descriptor, "w+b", buffering=0)
            if len(self._pieces) >= SPOOL_PIECES or self._size == len(piece):
                await self._flush()

    async def _flush(self) -> None:
        data, self._pieces = b"".join(self._pieces), []
        view = memoryview(data)
        while view:
            view = view[await self._file.write(view) :]

    async def body(self) -> Any:
        """The whole body: bytes, or the map of its file."""
        if self._file is None:
            return b"".join(self._pieces)
        await self._flush()
        return mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)


def _translated(error: Exception, url: URL, secrets: set[str]) -> Exception:
    """The error of ours that an exception of the libraries is; itself where it is a bug."""
    where = redact(_shown(url), secrets)
    if isinstance(error, WorkerError):
        error.message, error.where = redact(error.message, secrets), error.where or where
        return error
    if _lacks_a_descriptor(error):
        return exhausted(where)
    if isinstance(error, aiohttp.ClientHttpProxyError):
        refused = _refused_by_proxy(error.status)
        refused.where = where
        return refused
    for kind, ours, meaning in _FAULTS:
        if isinstance(error, kind):
            distrusted = isinstance(error, aiohttp.ClientConnectorCertificateError)
            return ours(
                f"{meaning} ({_detail(error)})",
                where=where,
                remedy=DISTRUSTED if distrusted else "",
            )
    return error


def _refused_by_proxy(status: int) -> WorkerError:
    """The error of a proxy that answers itself, and does not let the request through."""
    if status == PROXY_AUTH_NEEDED:
        return ProxyRefused(
            "the proxy wants other credentials (407)",
            remedy="check username and password of source.proxy",
        )
    if status >= 500 or status in (408, 425, 429):
        return TransientError(f"the proxy answered {status}")
    return ProxyRefused(
        f"the proxy does not let the request through: it answered {status}",
        remedy="check that the proxy of source.proxy allows CONNECT to this origin",
    )


def _through(via: Via | None, error: Exception) -> Exception:
    """The error with the proxy that the request went through."""
    if via is not None and isinstance(error, WorkerError):
        error.message = f"{error.message}, through the proxy {via.url}"
    return error


def _lacks_a_descriptor(error: Exception) -> bool:
    """Whether too many open files are the cause. A name is not resolved then either, and the
    resolver does not say why.
    """
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return are_exhausted()
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    return isinstance(cause, OSError) and cause.errno in EXHAUSTED


def _detail(error: BaseException) -> str:
    """What a library says in a few words, without what it quotes of the exchange."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return str(
            getattr(error.certificate_error, "verify_message", "") or error.certificate_error
        )
    if isinstance(error, aiohttp.ClientConnectorError):
        return str(error.os_error)
    if isinstance(error, aiohttp.ClientResponseError):
        first_line = error.message.partition("\n")[0].rstrip(":")
        return f"no HTTP: {first_line}"[:DETAIL_CHARS]
    return type(error).__name__


def _shown(url: URL) -> str:
    """A URL without user, query and fragment."""
    return (
        str(url.with_query(None).with_user(None).with_fragment(None))
        if url.is_absolute() and url.host
        else "relative URL"
    )
