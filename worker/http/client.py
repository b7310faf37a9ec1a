"""The one HTTP client: explicit limits on time, bytes and hops; credentials and redirects bound to their origin.

It returns complete bodies or raises: TransientError for what may work again, PermanentError for what will not.
Messages never carry a query, which may hold secrets.
"""

from __future__ import annotations

import asyncio
import mmap
import re
import ssl
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import aiofiles
import aiohttp
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from worker.core.errors import PermanentError, TransientError, WorkerError
from worker.core.model import Request
from worker.http.auth import Auth
from worker.http.body import BodyDecoder, BodyLimits
from worker.http.redact import credentials_in, redact

SPOOL_BYTES: Final = 8 * 1024 * 1024
READ_BYTES: Final = 256 * 1024
MAX_HOPS: Final = 5
REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
BODILESS: Final = frozenset({204, 304})
ONE_VALUE: Final = frozenset(
    {
        "content-encoding",
        "content-length",
        "content-type",
        "date",
        "etag",
        "last-modified",
        "retry-after",
    }
)
_NO_HEADER: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds: to connect, between two reads, and for the whole exchange; `floor_bytes_s` is the least rate after `floor_after_s`."""

    connect_s: float = 10.0
    read_s: float = 30.0
    total_s: float = 60.0
    floor_bytes_s: float = 100.0
    floor_after_s: float = 20.0


@dataclass(frozen=True, slots=True)
class Response:
    """A complete answer.

    `headers` ignores case, and lines of one name are one value; `body` is bytes, or a map of a spooled file; `digest` hashes the decoded body;
    `credentials` are the headers of the Auth that went with the request.
    """

    status: int
    headers: Mapping[str, str]
    body: Any
    url: str
    digest: bytes
    wire_bytes: int = 0
    credentials: Mapping[str, str] = field(default_factory=dict, repr=False)


class TlsError(PermanentError):
    """The server's certificate is not trusted."""

    code = "tls"


DISTRUSTED: Final = (
    "name the authority that signed it in tls.ca_file, or correct the host of the url"
)

# What an exception of the libraries means, first match. None is a bug of ours.
_FAULTS: Final[tuple[tuple[type[BaseException], type[WorkerError], str], ...]] = (
    (aiohttp.ClientConnectorCertificateError, TlsError, "the certificate is not trusted"),
    (aiohttp.ClientSSLError, TlsError, "the TLS handshake failed"),
    (ssl.SSLError, TransientError, "the TLS connection broke"),
    (TimeoutError, TransientError, "no answer in time"),
    (aiohttp.ClientPayloadError, TransientError, "the body broke off"),
    (aiohttp.ClientConnectorDNSError, TransientError, "the host name does not resolve"),
    (aiohttp.ClientConnectionError, TransientError, "the connection failed"),
    (aiohttp.InvalidURL, PermanentError, "the URL is none"),
    (aiohttp.ClientError, TransientError, "the exchange failed"),
    (OSError, TransientError, "the connection failed"),
)


class HttpClient:
    """An async context manager; one a pipeline.

    Args:
        origin: the only origin that requests, followed links and redirects may go to, besides `allowed_origins`; and the only one that gets credentials.
        spool: directory for bodies over 8 MiB; they are unlinked at once and live as long as the response.
        hash_bodies: false where nobody asks for digests; hashing costs 0.17 ms for a page of 300 KB.
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
        allowed_origins: tuple[str, ...] = (),
        hash_bodies: bool = True,
    ) -> None:
        self._origin = URL(origin).origin()
        self._allowed = frozenset({self._origin, *(URL(each).origin() for each in allowed_origins)})
        (
            self._user_agent,
            self._timeouts,
            self._limits,
            self._connections,
            self._spool,
            self._tls,
        ) = user_agent, timeouts, limits, connections, spool, tls
        self._hash_bodies = hash_bodies
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> HttpClient:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=self._connections,
                limit_per_host=self._connections,
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
            headers={"User-Agent": self._user_agent, "Accept-Encoding": "gzip, deflate"},
            read_bufsize=READ_BYTES,
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

    async def fetch(self, request: Request, auth: Auth | None = None) -> Response:
        """One exchange, redirects included. Raises TransientError, PermanentError."""
        url = self._checked(
            _parsed(request.url) if request.followed else URL(request.url), "the next link"
        )
        url = url.update_query(dict(request.params)) if request.params else url
        method, body = request.method, request.body
        secrets = set[str]()  # what was sent comes back in the paths of redirects
        try:
            for _ in range(MAX_HOPS + 1):
                headers, sent, credentials = dict(request.headers), url, dict[str, str]()
                if auth is not None and url.origin() == self._origin:
                    credentials = await auth.headers()
                    headers |= credentials
                    if params := await auth.params():
                        sent = _with_query(url, params)
                    secrets |= credentials_in(credentials, params)
                _check_headers(headers)
                answer = await self._exchange(method, sent, headers, body)
                if isinstance(answer, Response):
                    return replace(answer, url=str(url), credentials=credentials)
                url = self._checked(url.join(answer), "a redirect")
                if method not in ("GET", "HEAD"):
                    raise PermanentError(
                        f"{method} was redirected to {_shown(url)}",
                        remedy="configure the final URL",
                    )
            raise PermanentError(
                f"more than {MAX_HOPS} redirects at {_shown(url)}", remedy="configure the final URL"
            )
        except Exception as error:
            raise _translated(error, url, secrets) from error

    def _checked(self, url: URL, what: str) -> URL:
        if (
            not url.is_absolute()
            or url.scheme not in ("http", "https")
            or url.origin() not in self._allowed
        ):
            place = url.origin() if url.is_absolute() and url.host else "no http origin"
            raise PermanentError(
                f"{what} leads to {place}, the source is {self._origin}",
                remedy="only the configured origin is followed",
            )
        return url

    async def _exchange(
        self, method: str, url: URL, headers: dict[str, str], body: bytes | None
    ) -> Response | URL:
        assert self._session is not None, "use the client as an async context manager"
        async with self._session.request(
            method, url, headers=headers, data=body, allow_redirects=False
        ) as answer:
            if answer.status in REDIRECTS and "Location" in answer.headers:
                return _parsed(answer.headers["Location"])
            return await self._received(answer)

    async def _received(self, answer: aiohttp.ClientResponse) -> Response:
        decoder = BodyDecoder(answer.headers.get("Content-Encoding", ""), self._limits)
        digest = sha256()
        loop = asyncio.get_running_loop()
        started = loop.time()
        async with _Spool(self._spool) as spool:
            async for data in answer.content.iter_any():
                for piece in decoder.feed(data):
                    if self._hash_bodies:
                        digest.update(piece)
                    await spool.add(piece)
                elapsed = loop.time() - started
                if (
                    elapsed > self._timeouts.floor_after_s
                    and decoder.wire_bytes < elapsed * self._timeouts.floor_bytes_s
                ):
                    raise TransientError(
                        f"the body trickles in at {decoder.wire_bytes / elapsed:.0f} bytes a second"
                    )
            decoder.finish(may_be_empty=_says_its_length(answer))
            body = await spool.body()
        return Response(
            answer.status,
            _joined(answer.headers),
            body,
            str(answer.url),
            digest.digest()[:16],
            decoder.wire_bytes,
        )


def _says_its_length(answer: aiohttp.ClientResponse) -> bool:
    """Else the body ends with the connection, and an empty one may be all that came of it."""
    return (
        answer.status in BODILESS
        or "Content-Length" in answer.headers
        or "Transfer-Encoding" in answer.headers
    )


def _parsed(text: str) -> URL:
    """A URL that the server sent: verbatim, but for user and password, which would be sent as credentials."""
    try:
        url = URL(text, encoded=True)
        if url.is_absolute():
            (
                str(url.origin()).encode(),
                url.host,
                url.port,
            )  # these are parsed, and refused, only when they are asked for
            return (
                url.with_user(None)
                if url.raw_user is not None or url.raw_password is not None
                else url
            )
        return url
    except ValueError as error:
        raise PermanentError(
            "the server sent a link that is no URL",
            remedy="only URLs of the configured origin are followed",
        ) from error


def _joined(lines: CIMultiDictProxy[str]) -> Mapping[str, str]:
    """Lines of one name as one value (RFC 9110, 5.3): the link to the next page may be in any of them. A line that comes twice counts once."""
    names = dict.fromkeys(name.lower() for name in lines)
    if len(names) == len(lines):
        return lines
    return CIMultiDict(
        (name, lines[name] if name in ONE_VALUE else ", ".join(dict.fromkeys(lines.getall(name))))
        for name in names
    )


def _check_headers(headers: Mapping[str, str]) -> None:
    """What a server says may become a header of the next request; it must not become two."""
    for name, value in headers.items():
        if _NO_HEADER.search(value):
            raise PermanentError(
                f"the value for header {name} has characters that no header may have",
                remedy="check where the value comes from",
            )


class _Spool:
    """Collects a body: in memory, and beyond 8 MiB in an unnamed file."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._pieces: list[bytes] = []
        self._size = 0
        self._file: Any = None

    async def __aenter__(self) -> _Spool:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._file is not None:
            await self._file.close()

    async def add(self, piece: bytes) -> None:
        self._pieces.append(piece)
        self._size += len(piece)
        if self._size > SPOOL_BYTES:
            if self._file is None:
                self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
                descriptor, name = tempfile.mkstemp(dir=self._directory)
                Path(name).unlink()
                self._file = await aiofiles.open(descriptor, "w+b", buffering=0)
            if len(self._pieces) >= 16 or self._size == len(piece):
                await self._flush()

    async def _flush(self) -> None:
        data, self._pieces = b"".join(self._pieces), []
        view = memoryview(data)
        while view:
            view = view[await self._file.write(view) :]

    async def body(self) -> Any:
        if self._file is None:
            return b"".join(self._pieces)
        await self._flush()
        return mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)


def _with_query(url: URL, params: Mapping[str, str]) -> URL:
    """Adds parameters behind a query that stays as it is."""
    added = URL.build(query=dict(params)).raw_query_string
    text = str(url)
    return URL(f"{text}{'&' if url.raw_query_string else '?'}{added}", encoded=True)


def _translated(error: Exception, url: URL, secrets: set[str]) -> Exception:
    where = redact(_shown(url), secrets)
    if isinstance(error, WorkerError):
        error.message, error.where = redact(error.message, secrets), error.where or where
        return error
    for kind, ours, meaning in _FAULTS:
        if isinstance(error, kind):
            distrusted = isinstance(error, aiohttp.ClientConnectorCertificateError)
            return ours(
                f"{meaning} ({_detail(error)})",
                where=where,
                remedy=DISTRUSTED if distrusted else "",
            )
    return error


def _detail(error: BaseException) -> str:
    """What a library knows in a few words: never what it quotes of the exchange below them."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return str(
            getattr(error.certificate_error, "verify_message", "") or error.certificate_error
        )
    if isinstance(error, aiohttp.ClientConnectorError):
        return str(error.os_error)
    if isinstance(error, aiohttp.ClientResponseError):
        return f"no HTTP: {error.message.partition(chr(10))[0].rstrip(':')}"[:100]
    return type(error).__name__


def _shown(url: URL) -> str:
    """A URL without user, query and fragment."""
    return (
        str(url.with_query(None).with_user(None).with_fragment(None))
        if url.is_absolute() and url.host
        else "relative URL"
    )
