"""Credentials as they are made of a config: whose they are, and whom nobody asks for them."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import kit
import pytest

from worker.config.secrets import is_fit
from worker.core.errors import PermanentError
from worker.http.auth import Auth, Outgoing
from worker.http.proxy import Via
from worker.secrets.store import SecretStore
from worker.settings import PipelineSettings, load_settings
from worker.sources.http_config import HttpConfig
from worker.testing.clock import FakeClock
from worker.wiring.origins import Origins
from worker.wiring.secrets import Credentials, route_to


def source(**keys: Any) -> HttpConfig:
    return HttpConfig.model_validate({"url": "https://api.example.com/v1", **keys})


class Asked:
    """What is asked for secrets; each gets what it asked with, in capitals."""

    def __init__(self) -> None:
        self.references: list[tuple[str, ...]] = []
        self.clock = FakeClock()

    async def fetch(self, reference: tuple[str, ...]) -> str:
        self.references.append(reference)
        return f"{'-'.join(reference).upper()}-{len(self.references)}"

    def store(self) -> SecretStore:
        environ = {"KEY": "k3y", "KEY_a": "of-a", "KEY_b": "of-b"}
        return SecretStore(environ, self.clock, lambda event: None, lambda kind: self.fetch)

    def credentials(self, stack: AsyncExitStack, tmp_path: Path) -> Credentials:
        return Credentials(stack, self.store(), self.clock, state=tmp_path, spool=tmp_path)


async def sent(auth: Auth | None, url: str = "https://api.example.com/v1") -> Outgoing:
    assert auth is not None
    return await auth.authorize(Outgoing("GET", url, {}))


async def test_secrets_of_headers_and_params_go_beside_those_of_auth(tmp_path: Path) -> None:
    config = source(
        url="https://api.example.com/{secret.a}/v1",
        auth=[
            {"type": "bearer", "token": "t"},
            {"type": "api_key", "in": "path", "name": "a", "value": {"env": "KEY"}},
        ],
        headers={"X-Key": {"env": "KEY_a"}, "X-Plain": "p"},
        params={"key": {"env": "KEY_b"}, "plain": 1},
    )
    async with AsyncExitStack() as stack:
        auth = Asked().credentials(stack, tmp_path).of(config)({})
        asked = await sent(auth, config.url)
    assert asked.url == "https://api.example.com/k3y/v1?key=of-b"
    assert asked.credentials == {"X-Key": "of-a", "Authorization": "Bearer t"}
    assert (asked.params, asked.in_url) == ({"key": "of-b"}, {"a": "k3y"})


@pytest.mark.parametrize("signs_first", [True, False])
async def test_what_signs_a_request_signs_the_whole_of_it(
    signs_first: bool, tmp_path: Path
) -> None:
    kinds: list[dict[str, Any]] = [
        {"type": "digest", "username": "me", "password": "p"},
        {"type": "api_key", "in": "path", "name": "a", "value": {"env": "KEY"}},
    ]
    config = source(
        url="https://api.example.com/{secret.a}/v1", auth=kinds if signs_first else kinds[::-1]
    )
    async with AsyncExitStack() as stack:
        auth = Asked().credentials(stack, tmp_path).of(config)({})
        assert (await sent(auth, config.url)).url == "https://api.example.com/k3y/v1"
        parts: Any = auth
        assert [type(each).__name__ for each in parts._each] == ["StaticAuth", "Digest"]


async def test_partitions_with_the_same_secrets_share_them(tmp_path: Path) -> None:
    config = source(
        headers={"X-Key": {"env": "KEY_{partition.x}"}},
        partitions={"x": ["a", "b"], "y": ["1", "2"]},
        params={"y": "{partition.y}"},
    )
    async with AsyncExitStack() as stack:
        auth = Asked().credentials(stack, tmp_path).of(config)
        one, same, other = (auth({"x": x, "y": y}) for x, y in ("a1", "a2", "b1"))
        assert one is same and one is not other
        assert (await sent(other)).credentials == {"X-Key": "of-b"}


async def test_who_is_asked_for_a_secret_is_asked_once_and_again_when_it_is_refused(
    tmp_path: Path,
) -> None:
    asked = Asked()
    config = source(headers={"X-Key": {"exec": ["get", "key"]}})
    async with AsyncExitStack() as stack:
        auth = asked.credentials(stack, tmp_path).of(config)({})
        for _ in range(3):
            assert (await sent(auth)).credentials == {"X-Key": "GET-KEY-1"}
        assert auth is not None and not auth.renew(kit.answered(401))
        asked.clock.advance(31)
        assert auth.renew(kit.answered(401))
        assert (await sent(auth)).credentials == {"X-Key": "GET-KEY-2"}
    assert asked.references == [("get", "key")] * 2


@pytest.mark.parametrize(
    ("value", "fit"),
    [
        *((each, True) for each in ("a", "acme.com", "a_b-c.9", "x" * 128)),
        *((each, False) for each in ("", ".", "..", "../key", "a/b", "-rf", "x" * 129, "é", "a\n")),
    ],
)
async def test_a_found_value_fills_a_secret_only_where_it_is_plain(
    value: str, fit: bool, tmp_path: Path
) -> None:
    assert is_fit(value) == fit
    asked = Asked()
    config = source(
        headers={"X-Key": {"exec": ["get", "{partition.x}"]}}, partitions={"x": ["any"]}
    )
    async with AsyncExitStack() as stack:
        auth = asked.credentials(stack, tmp_path).of(config, found={"x"})({"x": value})
        if fit:
            await sent(auth)
        else:
            with pytest.raises(PermanentError, match=r"partition\.x was found"):
                await sent(auth)
    assert asked.references == ([("get", value)] if fit else [])


async def test_the_password_of_a_proxy_is_asked_for_too() -> None:
    asked = Asked()
    proxy = {"url": "http://proxy:3128", "username": "me", "password": {"exec": ["pw"]}}
    route = route_to(source(proxy=proxy), asked.store())
    assert route is not None
    via = await route("https://api.example.com/v1")
    assert isinstance(via, Via) and via.headers == {"Proxy-Authorization": "Basic bWU6UFctMQ=="}


def test_pipelines_that_reach_an_origin_in_two_ways_share_no_breaker() -> None:
    origins = Origins(FakeClock(), lambda event: None)
    direct, again = origins.guard(source()), origins.guard(source())
    through = origins.guard(source(proxy="http://proxy:3128"))
    assert direct.breaker is again.breaker and direct.breaker is not through.breaker
    assert direct.gate is through.gate
    keyed = origins.guard(source(headers={"X-Key": {"env": "KEY"}}))
    assert keyed.gate is not direct.gate and keyed.breaker is direct.breaker


def pipeline(**keys: Any) -> PipelineSettings:
    return PipelineSettings.model_validate(
        {
            "source": {"url": "https://api.example.com/v1", **keys},
            "schema": "item.avsc",
            "sink": {"path": "lake"},
        }
    )


def test_no_secret_is_in_the_fingerprint() -> None:
    plain = pipeline().meaning()
    for keys in (
        {"headers": {"X-Shard": {"env": "A"}}},
        {"params": {"shard": {"file": "/run/a"}}},
        {"proxy": {"url": "http://p:1", "username": "a", "password": {"env": "A"}}},
        {"auth": {"type": "bearer", "token": {"exec": ["a"]}}},
    ):
        assert pipeline(**keys).meaning() == plain
    assert pipeline(params={"shard": "a"}).meaning() != plain

    def keyed(env: str) -> dict[str, str]:
        auth = {"type": "api_key", "in": "path", "name": "k", "value": {"env": env}}
        return pipeline(url="https://api.example.com/{secret.k}/v1", auth=auth).meaning()

    assert keyed("A") == keyed("B") != plain


async def test_check_runs_no_command_unless_it_connects(tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    command = {"exec": ["sh", "-c", f"echo ran >> {ran}; echo s3cret"]}
    config = kit.write_config(
        tmp_path,
        "http://127.0.0.1:9/{secret.k}",
        source={
            "auth": [
                {"type": "bearer", "token": command},
                {"type": "api_key", "in": "path", "name": "k", "value": command},
            ],
            "headers": {"X-Key": command},
            "params": {"key": command},
            "proxy": {"url": "http://127.0.0.1:9", "username": "me", "password": command},
        },
        transforms=[{"mask": {"fields": ["region"], "method": "hash", "key": command}}],
    )
    code, out, errors = await kit.worker("check", config)
    assert (code, ran.exists()) == (0, False), out + errors
    code, out, errors = await kit.worker("check", config, "--connect")
    assert (code, ran.exists()) == (69, True), out + errors
    assert "s3cret" not in out + errors


async def test_the_secret_of_a_step_is_asked_for_when_it_runs(tmp_path: Path) -> None:
    command = {"exec": ["sh", "-c", "exit 9"]}
    step = {"mask": {"fields": ["region"], "method": "hash", "key": command}}
    config = kit.write_config(tmp_path, "http://127.0.0.1:9/", transforms=[step])
    code, out, errors = await kit.worker("run", config, "--once")
    assert code == 69 and "secret_unavailable" in out + errors, out + errors
    assert load_settings([config])
