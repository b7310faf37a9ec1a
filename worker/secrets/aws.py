"""`{aws: name#key}`: a secret of AWS Secrets Manager, by its name or ARN.

Credentials, region and endpoint are found where every tool of AWS finds them: variables, profiles,
the role of the machine or container.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final

from worker.core.errors import ConfigError, SecretRefused, SecretUnavailable, WorkerError
from worker.secrets.text import TIMEOUT_S, key_of, text_of, value_in

_ABSENT: Final = frozenset({"ResourceNotFoundException", "InvalidRequestException"})
_REFUSED: Final = frozenset(
    {
        "AccessDeniedException",
        "DecryptionFailure",
        "ExpiredTokenException",
        "IncompleteSignatureException",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "MissingAuthenticationTokenException",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)


async def fetch(reference: Sequence[str]) -> str:
    """The secret. Raises SecretUnavailable, SecretRefused, ConfigError."""
    return await asyncio.to_thread(_fetch, reference[0])


def _fetch(reference: str) -> str:
    import boto3
    import botocore.config
    from botocore import exceptions

    name, key = key_of(reference)
    limits = botocore.config.Config(
        connect_timeout=TIMEOUT_S, read_timeout=TIMEOUT_S, retries={"total_max_attempts": 2}
    )
    try:
        # a session of its own: the one that boto3 shares is not safe in several threads
        client = boto3.session.Session().client("secretsmanager", config=limits)
        answer = client.get_secret_value(SecretId=name)
    except exceptions.ClientError as error:
        raise _meaning(error, name) from error
    except (exceptions.NoRegionError, exceptions.ProfileNotFound) as error:
        raise ConfigError(f"AWS cannot be asked for {name}: {error}") from error
    except (exceptions.NoCredentialsError, exceptions.PartialCredentialsError) as error:
        raise SecretRefused(
            f"there are no credentials to ask AWS for {name}",
            remedy="give this process a role, a profile, or AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY",
        ) from error
    except (exceptions.BotoCoreError, OSError) as error:
        raise SecretUnavailable(f"AWS does not answer: {type(error).__name__}") from error
    return _value(answer, key, name)


def _value(answer: Any, key: str, name: str) -> str:
    if "SecretString" in answer:
        return value_in(answer["SecretString"], key, name)
    return text_of(answer["SecretBinary"], name)


def _meaning(error: Any, name: str) -> WorkerError:
    code = str(error.response.get("Error", {}).get("Code", ""))
    if code in _ABSENT:
        return SecretRefused(
            f"AWS has no secret {name} ({code})",
            remedy="check its name and AWS_REGION",
        )
    if code in _REFUSED:
        return SecretRefused(
            f"AWS refuses to show {name} ({code})",
            remedy="the role needs secretsmanager:GetSecretValue, and kms:Decrypt for a key of "
            "your own",
        )
    return SecretUnavailable(f"AWS answers with an error ({code})")
