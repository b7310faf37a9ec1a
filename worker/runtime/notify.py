"""Notifications for the service manager (sd_notify(3)), and the watchdog that progress feeds."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Final

STALLED_S: Final = 300.0


class Notifier:
    """Sends state to the socket that the service manager named; without one, does nothing.

    Args:
        address: a path, or `@name` for an abstract socket; empty: there is no service manager.
    """

    def __init__(self, address: str = "") -> None:
        self._address = "\0" + address[1:] if address.startswith("@") else address

    def send(self, state: str) -> None:
        """One datagram. A manager that does not listen is no reason to stop."""
        if not self._address:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as datagrams:
            try:
                datagrams.connect(self._address)
                datagrams.send(state.encode())
            except OSError:
                return

    def ready(self, status: str) -> None:
        self.send(f"READY=1\nSTATUS={status}")

    def stopping(self) -> None:
        self.send("STOPPING=1\nSTATUS=draining")


async def feed_watchdog(
    notifier: Notifier, interval_s: float, stalled_s: Callable[[], float]
) -> None:
    """Reports twice in each interval that the process is alive.

    As long as the loop turns and no pipeline has been stuck on data for long. Partners that are
    down, schedules and open breakers are no reason for a restart: nothing waits to be written then.
    """
    while True:
        if stalled_s() < STALLED_S:
            notifier.send("WATCHDOG=1")
        await asyncio.sleep(interval_s / 2)
