"""Secrets of services: AWS by moto's server, Vault and Google Cloud by stubs of their public APIs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from worker.core.errors import ConfigError, SecretRefused, SecretUnavailable
from worker.secrets import aws, gcp, vault

# -- AWS -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def moto_url() -> Iterator[str]:
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def manager(moto_url: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A client of the service; the environment is that of a process that may use it."""
    import boto3

    for name, value in {
        "AWS_ENDPOINT_URL_SECRETS_MANAGER": moto_url,
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": "eu-central-1",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    }.items():
        monkeypatch.setenv(name, value)
    client = boto3.session.Session().client("secretsmanager")
    for each in client.list_secrets()["SecretList"]:
        client.delete_secret(SecretId=each["ARN"], ForceDeleteWithoutRecovery=True)
    return client


async def test_a_secret_of_aws_by_name_by_arn_and_by_key(manager: Any) -> None:
    arn = manager.create_secret(Name="prod/api", SecretString='{"token": "t1", "n": 5}')["ARN"]
    manager.create_secret(Name="bare", SecretString="plain\n")
    manager.create_secret(Name="binary", SecretBinary=b"bytes")
    assert await aws.fetch(["prod/api#token"]) == "t1"
    assert await aws.fetch([f"{arn}#n"]) == "5"
    assert await aws.fetch(["bare"]) == "plain"
    assert await aws.fetch(["binary"]) == "bytes"


async def test_what_aws_has_not_or_has_otherwise_is_refused(manager: Any) -> None:
    manager.create_secret(Name="prod/api", SecretString='{"token": {"a": "c4n4ry"}}')
    manager.create_secret(Name="bare", SecretString="c4n4ry")
    for reference, why in (
        ("nobody", "ResourceNotFoundException"),
        ("bare#key", "no JSON object"),
        ("prod/api#other", "key other is not there"),
        ("prod/api#token", "key token is no text"),
    ):
        with pytest.raises(SecretRefused, match=why) as raised:
            await aws.fetch([reference])
        assert "c4n4ry" not in str(raised.value)


async def test_without_credentials_region_or_answer_of_aws(
    manager: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aws, "TIMEOUT_S", 0.2)
    monkeypatch.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", "http://127.0.0.1:9")
    with pytest.raises(SecretUnavailable, match="AWS does not answer"):
        await aws.fetch(["bare"])
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(SecretRefused, match="no credentials"):
        await aws.fetch(["bare"])
    monkeypatch.delenv("AWS_REGION")
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    monkeypatch.delenv("AWS_ENDPOINT_URL_SECRETS_MANAGER")
    with pytest.raises(ConfigError, match="region"):
        await aws.fetch(["bare"])


# -- Vault -----------------------------------------------------------------------------------------

VAULT: dict[str, tuple[int, Any]] = {
    "/v1/secret/data/app": (
        200,
        {"data": {"data": {"token": "t2", "data": "d"}, "metadata": {"version": 3}}},
    ),
    "/v1/kv/app": (200, {"data": {"token": "t1"}}),
    "/v1/kv/metadata": (200, {"data": {"data": "d1"}}),
    "/v1/secret/app": (404, {"errors": [], "warnings": ["Invalid path for a versioned engine"]}),
    "/v1/kv/denied": (403, {"errors": ["permission denied c4n4ry"]}),
    "/v1/kv/sealed": (503, {"errors": ["Vault is sealed"]}),
    "/v1/kv/limited": (429, {"errors": ["rate limit"]}),
}


@pytest.fixture
def asked_of_vault(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """The headers of each request; the environment is that of a process that may use Vault."""
    asked: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.headers)
            status, body = VAULT.get(self.path, (404, {"errors": []}))
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=partial(server.serve_forever, 0.01))
    thread.start()
    monkeypatch.setenv("VAULT_ADDR", f"http://127.0.0.1:{server.server_address[1]}")
    monkeypatch.setenv("VAULT_TOKEN", "the-token")
    monkeypatch.setenv("VAULT_NAMESPACE", "team")
    yield asked
    server.shutdown()
    server.server_close()
    thread.join()


async def test_a_secret_of_vault_in_both_versions_of_its_engine(asked_of_vault: list[Any]) -> None:
    assert await vault.fetch(["secret/data/app#token"]) == "t2"
    assert await vault.fetch(["secret/data/app#data"]) == "d"
    assert await vault.fetch(["kv/app#token"]) == "t1"
    assert await vault.fetch(["kv/metadata#data"]) == "d1"
    assert asked_of_vault[0]["X-Vault-Token"] == "the-token"
    assert asked_of_vault[0]["X-Vault-Namespace"] == "team"


@pytest.mark.parametrize(
    ("reference", "kind", "why"),
    [
        ("kv/nobody#key", SecretRefused, "no secret at kv/nobody"),
        ("secret/app#key", SecretRefused, "MOUNT/data/NAME"),
        ("kv/denied#key", SecretRefused, "refuses to show kv/denied"),
        ("kv/sealed#key", SecretUnavailable, "answers with an error"),
        ("kv/limited#key", SecretUnavailable, "answers with an error"),
        ("kv/app#other", SecretRefused, "key other is not there"),
    ],
)
async def test_what_vault_does_not_show(
    reference: str, kind: type[Exception], why: str, asked_of_vault: list[Any]
) -> None:
    with pytest.raises(kind) as raised:
        await vault.fetch([reference])
    assert why in str(raised.value) and "c4n4ry" not in str(raised.value)


async def test_without_an_address_or_an_answer_of_vault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAULT_ADDR", "http://127.0.0.1:9")
    with pytest.raises(SecretUnavailable, match="Vault does not answer"):
        await vault.fetch(["kv/app#token"])
    monkeypatch.delenv("VAULT_ADDR")
    with pytest.raises(ConfigError, match="VAULT_ADDR"):
        await vault.fetch(["kv/app#token"])


# -- Google Cloud ----------------------------------------------------------------------------------

GCP = {
    "projects/p/secrets/api/versions/latest": b"newest",
    "projects/p/secrets/api/versions/2": b'{"token": "t"}',
}


@pytest.fixture
def google(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """A server of AccessSecretVersion; what it raises, and the project of the credentials."""
    import google.auth
    import grpc
    from google.auth.credentials import AnonymousCredentials
    from google.cloud import secretmanager
    from google.cloud.secretmanager_v1.services.secret_manager_service.transports import (
        SecretManagerServiceGrpcTransport as Transport,
    )

    said: dict[str, Any] = {"project": "p", "status": None}

    def access(request: Any, context: Any) -> Any:
        if said["status"] is not None:
            context.abort(said["status"], "c4n4ry")
        if request.name not in GCP:
            context.abort(grpc.StatusCode.NOT_FOUND, "no such secret")
        payload = secretmanager.SecretPayload(data=GCP[request.name])
        return secretmanager.AccessSecretVersionResponse(name=request.name, payload=payload)

    handler = grpc.unary_unary_rpc_method_handler(
        access,
        request_deserializer=secretmanager.AccessSecretVersionRequest.deserialize,
        response_serializer=secretmanager.AccessSecretVersionResponse.serialize,
    )
    service = "google.cloud.secretmanager.v1.SecretManagerService"
    server = grpc.server(ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(service, {"AccessSecretVersion": handler}),)
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    client = secretmanager.SecretManagerServiceClient

    def connected(credentials: Any) -> Any:
        return client(transport=Transport(channel=grpc.insecure_channel(f"127.0.0.1:{port}")))

    monkeypatch.setattr(secretmanager, "SecretManagerServiceClient", connected)
    monkeypatch.setattr(google.auth, "default", lambda: (AnonymousCredentials(), said["project"]))
    yield said
    server.stop(None).wait()


async def test_a_secret_of_google_cloud_by_name_version_and_key(google: dict[str, Any]) -> None:
    assert await gcp.fetch(["projects/p/secrets/api"]) == "newest"
    assert await gcp.fetch(["api"]) == "newest"
    assert await gcp.fetch(["projects/p/secrets/api/versions/2#token"]) == "t"


async def test_what_google_cloud_does_not_show(google: dict[str, Any]) -> None:
    import grpc

    with pytest.raises(SecretRefused, match="no secret other"):
        await gcp.fetch(["other"])
    for status, kind, why in (
        (grpc.StatusCode.PERMISSION_DENIED, SecretRefused, "refuses to show api"),
        (grpc.StatusCode.UNAUTHENTICATED, SecretRefused, "refuses to show api"),
        (grpc.StatusCode.UNAVAILABLE, SecretUnavailable, "answers with an error"),
    ):
        google["status"] = status
        with pytest.raises(kind, match=why) as raised:
            await gcp.fetch(["api"])
        assert "c4n4ry" not in str(raised.value)
    google["project"] = None
    with pytest.raises(ConfigError, match="say no project"):
        await gcp.fetch(["api"])


async def test_without_credentials_of_google_cloud(monkeypatch: pytest.MonkeyPatch) -> None:
    import google.auth
    from google.auth.exceptions import DefaultCredentialsError

    def none() -> Any:
        raise DefaultCredentialsError("none")

    monkeypatch.setattr(google.auth, "default", none)
    with pytest.raises(SecretRefused, match="no credentials"):
        await gcp.fetch(["api"])
