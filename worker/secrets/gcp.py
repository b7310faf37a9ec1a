"""`{gcp: name}`: a secret of Google Cloud Secret Manager.

The name is `projects/PROJECT/secrets/NAME`, with `/versions/N` for another version than the latest,
or NAME alone for the project of the credentials. Credentials are found where every tool of Google
finds them: GOOGLE_APPLICATION_CREDENTIALS, `gcloud auth application-default login`, the service
account of the machine or pod.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from worker.core.errors import ConfigError, SecretRefused, SecretUnavailable, WorkerError
from worker.secrets.text import TIMEOUT_S, key_of, value_in


async def fetch(reference: Sequence[str]) -> str:
    """The secret. Raises SecretUnavailable, SecretRefused, ConfigError."""
    return await asyncio.to_thread(_fetch, reference[0])


def _fetch(reference: str) -> str:
    import google.auth
    from google.api_core.exceptions import GoogleAPICallError, RetryError
    from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError
    from google.cloud import secretmanager

    name, key = key_of(reference)
    try:
        credentials, project = google.auth.default()
        with secretmanager.SecretManagerServiceClient(credentials=credentials) as client:
            answer = client.access_secret_version(
                request={"name": _version(name, project)}, timeout=TIMEOUT_S, retry=None
            )
    except DefaultCredentialsError as error:
        raise SecretRefused(
            f"there are no credentials to ask Google Cloud for {name}",
            remedy="set GOOGLE_APPLICATION_CREDENTIALS, or give this process a service account",
        ) from error
    except GoogleAPICallError as error:
        raise _meaning(error, name) from error
    except (GoogleAuthError, RetryError, OSError) as error:
        raise SecretUnavailable(f"Google Cloud does not answer: {type(error).__name__}") from error
    return value_in(answer.payload.data.decode("utf-8", "replace"), key, name)


def _version(name: str, project: str | None) -> str:
    """The resource name of a version."""
    if "/" not in name:
        if not project:
            raise ConfigError(
                f"the credentials for Google Cloud say no project for the secret {name}",
                remedy="write projects/PROJECT/secrets/NAME, or set GOOGLE_CLOUD_PROJECT",
            )
        name = f"projects/{project}/secrets/{name}"
    return name if "/versions/" in name else f"{name}/versions/latest"


def _meaning(error: Exception, name: str) -> WorkerError:
    from google.api_core import exceptions

    if isinstance(error, exceptions.NotFound | exceptions.InvalidArgument):
        return SecretRefused(
            f"Google Cloud has no secret {name}", remedy="check its name and project"
        )
    if isinstance(error, exceptions.PermissionDenied | exceptions.Unauthenticated):
        return SecretRefused(
            f"Google Cloud refuses to show {name}",
            remedy="the service account needs roles/secretmanager.secretAccessor",
        )
    return SecretUnavailable(f"Google Cloud answers with an error: {type(error).__name__}")
