"""What is asked at an endpoint for credentials, and what its answers mean.

Messages never carry a secret or a token, even when the endpoint repeats them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl

import msgspec

from worker.core.errors import AuthError, PermanentError, TransientError, WorkerError
from worker.core.model import Request
from worker.http.auth import Answer, Fetch
from worker.http.redact import LEAST_CHARS, redact
from worker.http.retry_after import retry_after

LONGEST_RETRY_AFTER_S: Final = 600.0
SAID_CHARS: Final = 200
FORM: Final = "application/x-www-form-urlencoded"

_TRANSIENT: Final = frozenset({408, 425, 429})
_REFUSED: Final = frozenset({400, 401, 403})
_SAYING: Final = ("error", "error_description", "message", "detail", "title")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An endpoint for credentials.

    Attributes:
        fetch: sends requests to its origin.
        what: one of its kind, in words: `the token endpoint`.
        remedy: what to do where it refuses.
        key: the key of its URL.
        follow: redirects are followed as those of the source are; else they are answers.
    """

    fetch: Fetch
    what: str
    remedy: str
    key: str
    follow: bool = True

    async def ask(self, request: Request, secrets: Collection[str]) -> Answer:
        """The answer of success. Raises the error that any other one is.

        Args:
            secrets: what the request carries that nobody may read in an error.
        """
        where = request.url.partition("?")[0]
        hidden = [each for each in secrets if len(each) >= LEAST_CHARS]
        try:
            answer = await self.fetch(request, follow=self.follow)
        except WorkerError as error:
            # it names the place that a redirect leads to, which may repeat what was sent
            error.message, error.where = redact(error.message, hidden), redact(error.where, hidden)
            raise
        self._check(answer, said(answer, secrets), where)
        return answer

    def _check(self, answer: Answer, said: str, where: str) -> None:
        status = answer.status
        if 200 <= status < 300 or (not self.follow and 300 <= status < 400):
            return
        message = f"{self.what} answered {status}{said}"
        if status in _REFUSED:
            raise AuthError(message, where=where, remedy=self.remedy)
        if status >= 500 or status in _TRANSIENT:
            wait_s = retry_after(answer.headers, max_s=LONGEST_RETRY_AFTER_S)
            raise TransientError(message, retry_after_s=wait_s, where=where)
        raise PermanentError(message, where=where, remedy=f"check {self.key}")


def document_of(answer: Answer) -> Any:
    """The body of an answer: JSON, or a form where it says that it is one; None for any other."""
    body = bytes(answer.body)
    if FORM in answer.headers.get("Content-Type", ""):
        return dict(parse_qsl(body.decode("utf-8", "replace")))
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None


def said(answer: Answer, secrets: Collection[str]) -> str:
    """What an answer says of an error (RFC 6749, 5.2), without repeated secrets."""
    document = document_of(answer)
    if isinstance(document, Mapping) and isinstance(document.get("error"), Mapping):
        document = document["error"]
    found = [document.get(name) for name in _SAYING] if isinstance(document, Mapping) else []
    text = ": ".join(each for each in found if isinstance(each, str))
    text = redact(text, [each for each in secrets if len(each) >= LEAST_CHARS])
    return f", saying {text[:SAID_CHARS]!r}" if text else ""
