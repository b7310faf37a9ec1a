"""`{vault: path#key}`: a secret of HashiCorp Vault, or of OpenBao.

The address and the token are found where Vault's own tools find them: VAULT_ADDR, VAULT_TOKEN or
~/.vault-token (which its agent keeps), VAULT_NAMESPACE, VAULT_CACERT. The path is that of the HTTP
API: with version 2 of the key-value engine it has `data/` behind the mount.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from typing import Any

from worker.core.errors import ConfigError, SecretRefused, SecretUnavailable, WorkerError
from worker.secrets.text import TIMEOUT_S, key_of, value_under


async def fetch(reference: Sequence[str]) -> str:
    """The secret. Raises SecretUnavailable, SecretRefused, ConfigError."""
    return await asyncio.to_thread(_fetch, reference[0])


def _fetch(reference: str) -> str:
    import hvac
    import requests

    if not os.environ.get("VAULT_ADDR"):
        raise ConfigError("VAULT_ADDR is not set", remedy="set it to the URL of Vault")
    path, key = key_of(reference)
    try:
        client = hvac.Client(timeout=TIMEOUT_S, namespace=os.environ.get("VAULT_NAMESPACE"))
        answer = client.read(path)
    except hvac.exceptions.VaultError as error:
        raise _meaning(error, path) from error
    except (requests.RequestException, OSError) as error:
        raise SecretUnavailable(f"Vault does not answer: {type(error).__name__}") from error
    return value_under(_data(answer, path), key, path)


def _data(answer: Any, path: str) -> dict[str, object]:
    """The keys of a secret; version 2 of the engine has them one level deeper."""
    data = answer.get("data") if isinstance(answer, dict) else None
    if isinstance(data, dict) and {"data", "metadata"} <= data.keys():
        data = data["data"]
    if not isinstance(data, dict):
        raise _absent(path)
    return data


def _meaning(error: Exception, path: str) -> WorkerError:
    from hvac import exceptions

    if isinstance(error, exceptions.InvalidPath):
        return _absent(path)
    if isinstance(error, exceptions.Forbidden | exceptions.Unauthorized):
        return SecretRefused(
            f"Vault refuses to show {path}",
            remedy="check VAULT_TOKEN (or ~/.vault-token) and the policy of this token",
        )
    return SecretUnavailable(f"Vault answers with an error: {type(error).__name__}")


def _absent(path: str) -> SecretRefused:
    return SecretRefused(
        f"Vault has no secret at {path}",
        remedy="write the path as the API has it: with version 2 of the key-value engine that is "
        "MOUNT/data/NAME",
    )
