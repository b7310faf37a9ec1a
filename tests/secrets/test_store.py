"""Secrets that somebody has to be asked for: once, off the loop, and not again before their time."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from worker.config.secrets import SecretRef
from worker.core.errors import ConfigError, SecretRefused, SecretUnavailable, WorkerError
from worker.core.events import SecretStale
from worker.secrets import store as stores
from worker.secrets.store import SecretStore, check_installed
from worker.testing.clock import FakeClock

REFERENCE = SecretRef(exec=("get", "{partition.tenant}"), ttl="60s")  # type: ignore[arg-type]
ACME = {"tenant": "acme"}


@dataclass
class Service:
    """Gives out s1, s2, ...; or raises `error`."""

    error: WorkerError | None = None
    asked: list[tuple[str, ...]] = field(default_factory=list)
    events: list[Any] = field(default_factory=list)
    clock: FakeClock = field(default_factory=FakeClock)

    def store(self, environ: Mapping[str, str] | None = None) -> SecretStore:
        return SecretStore(environ or {}, self.clock, self.events.append, lambda kind: self.fetch)

    async def fetch(self, reference: tuple[str, ...]) -> str:
        self.asked.append(reference)
        await asyncio.sleep(0)
        if self.error is not None:
            raise self.error
        return f"s{len(self.asked)}"


async def test_a_secret_is_asked_for_once_however_many_wait_and_again_after_its_ttl() -> None:
    service = Service()
    store = service.store()
    await asyncio.gather(*(store.refresh([REFERENCE], ACME) for _ in range(5)))
    assert (store.read(REFERENCE, ACME), service.asked) == ("s1", [("get", "acme")])
    service.clock.advance(59)
    await store.refresh([REFERENCE], ACME)
    assert store.read(REFERENCE, ACME) == "s1"
    service.clock.advance(1)
    await store.refresh([REFERENCE], ACME)
    assert store.read(REFERENCE, ACME) == "s2"


async def test_without_a_ttl_a_secret_is_kept_for_five_minutes() -> None:
    service, secret = Service(), SecretRef(vault="a#b")
    store = service.store()
    await store.refresh([secret], {})
    service.clock.advance(299)
    await store.refresh([secret], {})
    assert len(service.asked) == 1
    service.clock.advance(1)
    await store.refresh([secret], {})
    assert len(service.asked) == 2


async def test_each_partition_has_a_secret_of_its_own() -> None:
    service = Service()
    store = service.store()
    for tenant in ("a", "b", "a"):
        await store.refresh([REFERENCE], {"tenant": tenant})
    assert service.asked == [("get", "a"), ("get", "b")]
    assert store.read(REFERENCE, {"tenant": "b"}) == "s2"


async def test_the_old_secret_is_used_on_while_there_is_no_new_one_and_that_is_said() -> None:
    service = Service()
    store = service.store()
    await store.refresh([REFERENCE], ACME)
    service.error = SecretUnavailable("it is down")
    service.clock.advance(60)
    await asyncio.gather(*(store.refresh([REFERENCE], ACME) for _ in range(3)))
    assert store.read(REFERENCE, ACME) == "s1"
    assert service.events == [SecretStale("{exec: get}", "it is down")]
    assert len(service.asked) == 2
    service.error = None
    service.clock.advance(10)
    await store.refresh([REFERENCE], ACME)
    assert store.read(REFERENCE, ACME) == "s3"


async def test_who_waits_for_a_secret_that_does_not_come_does_not_ask_too() -> None:
    service = Service(SecretUnavailable("it is down"))
    store = service.store()
    results = await asyncio.gather(
        *(store.refresh([REFERENCE], ACME) for _ in range(5)), return_exceptions=True
    )
    assert [str(each) for each in results] == ["{exec: get}: it is down"] * 5
    assert len(service.asked) == 1
    with pytest.raises(SecretUnavailable):
        await store.refresh([REFERENCE], ACME)
    assert len(service.asked) == 1
    service.error = None
    service.clock.advance(10)
    await store.refresh([REFERENCE], ACME)
    assert store.read(REFERENCE, ACME) == "s2"


async def test_a_refused_secret_is_asked_for_again_but_not_at_once() -> None:
    service = Service()
    store = service.store()
    assert not store.forget([REFERENCE], ACME)
    await store.refresh([REFERENCE], ACME)
    assert not store.forget([REFERENCE], ACME)
    service.clock.advance(30)
    assert store.forget([REFERENCE], ACME)
    await store.refresh([REFERENCE], ACME)
    assert store.read(REFERENCE, ACME) == "s2"
    assert not store.forget([REFERENCE], ACME)


def test_what_nobody_is_asked_for_is_read_with_each_use() -> None:
    environ = {"TOKEN": "one"}
    store = Service().store(environ)
    assert store.read(SecretRef(env="TOKEN"), {}) == "one"
    environ["TOKEN"] = "two"
    assert store.read(SecretRef(env="TOKEN"), {}) == "two"
    assert store.read("literal", {}) == "literal"


@pytest.mark.parametrize(("kind", "extra"), [("vault", "vault"), ("aws", "aws"), ("gcp", "gcp")])
def test_an_extra_that_is_not_installed_is_named(
    kind: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = SecretRef(**{kind: "a#b"})
    check_installed(secret)
    monkeypatch.setattr(stores, "EXTRAS", {kind: ("no_such_package.of_us", extra)})
    with pytest.raises(ConfigError, match="no_such_package") as raised:
        check_installed(secret)
    assert f"worker-ingest[{extra}]" in raised.value.remedy


def test_a_command_needs_no_extra() -> None:
    check_installed(SecretRef(exec=("x",)))


def test_errors_of_secrets_have_their_exit_codes() -> None:
    assert (SecretUnavailable.exit, SecretRefused.exit) == (69, 77)
