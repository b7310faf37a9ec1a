"""What references to secrets lead to.

Variables and files are read with each use. What a command or a service has to be asked for is asked
for before a request needs it, off the loop, and kept in memory until its `ttl` is over. Where the
answer fails to come then, the old secret is used on, because an outage of a service for secrets is
none of the source.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from copy import copy
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from typing import Final

from worker.config.secrets import SecretRef, filled_reference, secret_value
from worker.core.errors import ConfigError, WorkerError
from worker.core.events import Emit, SecretStale
from worker.core.ports import Clock

TTL_S: Final = 300.0
"""How long a secret is kept whose reference does not say."""
TRY_AGAIN_S: Final = 10.0
"""The time until the next try when a secret could not be had; the others do not try meanwhile."""
RENEWALS_APART_S: Final = 30.0
"""A secret that is refused within this time after it came is not asked for again."""

KINDS: Final[Mapping[str, str]] = {
    "exec": "worker.secrets.command",
    "vault": "worker.secrets.vault",
    "aws": "worker.secrets.aws",
    "gcp": "worker.secrets.gcp",
}
"""Kind of reference -> the module whose `fetch(reference) -> str` asks for the secret."""

EXTRAS: Final[Mapping[str, tuple[str, str]]] = {
    "vault": ("hvac", "vault"),
    "aws": ("boto3", "aws"),
    "gcp": ("google.cloud.secretmanager", "gcp"),
}
"""Kind of reference -> (module that it needs, extra that has it)."""

Values = Mapping[str, str]
Key = tuple[str, ...]
Fetch = Callable[[Key], Awaitable[str]]


@dataclass(slots=True)
class _Kept:
    """A secret that was asked for.

    Attributes:
        came_at: when it came, in monotonic seconds.
        until: it is not asked for again before.
        failure: why there is none.
    """

    asking: asyncio.Lock = field(default_factory=asyncio.Lock)
    text: str = field(default="", repr=False)
    came_at: float = float("-inf")
    until: float = float("-inf")
    failure: WorkerError | None = None


class SecretStore:
    """The secrets of a run.

    Args:
        environ: the variables of the process, and what stands behind them.
        fetch_of: what asks for the secrets of a kind of reference.
    """

    def __init__(
        self,
        environ: Mapping[str, str],
        clock: Clock,
        emit: Emit,
        fetch_of: Callable[[str], Fetch] | None = None,
    ) -> None:
        self._environ, self._clock, self._emit = environ, clock, emit
        self._fetch_of = fetch_of or _fetch_of
        self._kept: dict[Key, _Kept] = {}

    def read(self, secret: str | SecretRef, values: Values) -> str:
        """The text of a secret. One that is asked for elsewhere was refreshed before.

        Raises ConfigError for a variable or a file that is missing.
        """
        if isinstance(secret, str) or not secret.remote:
            return secret_value(secret, values, self._environ)
        return self._kept[filled_reference(secret, values)].text

    async def refresh(self, secrets: Iterable[SecretRef], values: Values) -> None:
        """Asks for those of the secrets that were never had, or for too long.

        Raises SecretUnavailable where that may work later, SecretRefused, and ConfigError for what
        is not installed.
        """
        for secret in secrets:
            key = filled_reference(secret, values)
            kept = self._kept.setdefault(key, _Kept())
            if self._clock.monotonic() < kept.until and kept.failure is None:
                continue
            async with kept.asking:
                await self._asked(secret, key, kept)

    def forget(self, secrets: Iterable[SecretRef], values: Values) -> bool:
        """Whether another secret may be had for one of these, which the source has refused."""
        found, now = False, self._clock.monotonic()
        for secret in secrets:
            kept = self._kept.get(filled_reference(secret, values))
            if kept is not None and now - kept.came_at >= RENEWALS_APART_S:
                kept.until, found = now, True
        return found

    async def _asked(self, secret: SecretRef, key: Key, kept: _Kept) -> None:
        """One request, unless another one has just been answered."""
        if self._clock.monotonic() < kept.until:
            if kept.failure is not None:
                raise copy(kept.failure) from kept.failure
            return
        try:
            text = await self._fetch_of(secret.kind)(key[1:])
        except WorkerError as error:
            kept.until = self._clock.monotonic() + TRY_AGAIN_S
            if kept.text:
                self._emit(SecretStale(secret.shown, error.message))
                return
            error.where = error.where or secret.shown
            kept.failure = error
            raise
        now = self._clock.monotonic()
        kept.text, kept.failure, kept.came_at = text, None, now
        kept.until = now + (TTL_S if secret.ttl is None else secret.ttl)


def check_installed(secret: SecretRef) -> None:
    """Raises ConfigError where a reference needs an extra that is not installed."""
    module, extra = EXTRAS.get(secret.kind, ("", ""))
    if module and not _is_installed(module):
        raise ConfigError(
            f"the secret {secret.shown} needs the package {module.partition('.')[0]}, which is "
            "not installed",
            remedy=f"install the extra {extra}: worker-ingest[{extra}]",
        )


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # a package above it
        return False


def _fetch_of(kind: str) -> Fetch:
    fetch: Fetch = import_module(KINDS[kind]).fetch
    return fetch
