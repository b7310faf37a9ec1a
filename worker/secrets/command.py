"""`{exec: [command, argument, ...]}`: what a command prints.

It is started without a shell, so that nothing in its arguments is a command. It has a time and a
size, and what it says on stderr is thrown away, because it may hold what it was to print.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from worker.config.secrets import SECRET_BYTES
from worker.core.errors import ConfigError, SecretUnavailable
from worker.secrets.text import text_of

TIMEOUT_S: Final = 30.0
PIPE: Final = asyncio.subprocess.PIPE
NOWHERE: Final = asyncio.subprocess.DEVNULL


async def fetch(reference: Sequence[str], *, timeout_s: float = TIMEOUT_S) -> str:
    """The secret. Raises SecretUnavailable, and ConfigError for a command that there is not."""
    shown = f"the command {reference[0]} of a secret"
    try:
        process = await asyncio.create_subprocess_exec(
            *reference, stdin=NOWHERE, stdout=PIPE, stderr=NOWHERE, start_new_session=True
        )
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "it has a zero byte"
        raise ConfigError(
            f"{shown} cannot be started: {why}",
            remedy="name a program that is installed, with a list of its arguments; no shell is "
            "used",
        ) from error
    try:
        async with asyncio.timeout(timeout_s):
            data = await _printed(process)
            code = await process.wait()
    except TimeoutError as error:
        raise SecretUnavailable(
            f"{shown} did not end within {timeout_s:g} s",
            remedy="it gets no input and no terminal; let it print the secret at once",
        ) from error
    finally:
        await _end(process)
    if len(data) > SECRET_BYTES:
        raise SecretUnavailable(
            f"{shown} printed more than 64 KiB", remedy="let it print the secret and nothing else"
        )
    if code != 0:
        raise SecretUnavailable(
            f"{shown} ended with exit code {code}",
            remedy="run it by hand as this user; what it says on stderr is not shown",
        )
    return text_of(data, shown)


async def _printed(process: asyncio.subprocess.Process) -> bytes:
    """What it prints, up to one byte over the limit."""
    assert process.stdout is not None
    data = b""
    while len(data) <= SECRET_BYTES and (more := await process.stdout.read(SECRET_BYTES + 1)):
        data += more
    if len(data) > SECRET_BYTES:
        _kill(process)  # it may wait until somebody reads the rest
    return data


async def _end(process: asyncio.subprocess.Process) -> None:
    """Leaves no process of the command behind."""
    _kill(process)
    # a process that has left the group may keep the pipe open, and nothing public closes ours
    process._transport.close()  # type: ignore[attr-defined]  # noqa: SLF001
    await asyncio.shield(process.wait())


def _kill(process: asyncio.subprocess.Process) -> None:
    """Ends the command and what it has started: they are a group of processes of their own."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
