"""How much memory there is for pages, and what `check` says of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from worker.core.sizes import MIB, in_mib
from worker.runtime.machine import memory_limit
from worker.settings import PipelineSettings, Settings

PROCESS_BYTES: Final = 64 * MIB
"""What the process takes without any page, about."""
LEAST_BYTES: Final = 4 * MIB
TYPICAL: Final = 5
"""So many times its body a page of JSON usually takes, the body included."""


def memory_bytes(configured: int | None, limit_bytes: int | None = None) -> int:
    """What there is for pages: what is configured, else half of what a limit leaves.

    The other half is for what pages leave behind in the allocator, and for all that is no page.

    Args:
        limit_bytes: default: the limit of the container, or what the machine has.
    """
    if configured is not None:
        return configured
    limit = memory_limit() if limit_bytes is None else limit_bytes
    return max((limit - PROCESS_BYTES) // 2, LEAST_BYTES)


def described(settings: Settings, config: PipelineSettings) -> str:
    """How large pages may be, for `check`."""
    bound = memory_bytes(settings.memory)
    most = min(bound // TYPICAL, config.source.limits.body)
    at_once = bound // TYPICAL // max(most // config.source.concurrency, 1)
    return (
        f"{in_mib(bound)} for the pages of all pipelines; bodies of up to {in_mib(most)} fit where "
        f"a decoded page takes {TYPICAL} times its body, and {at_once} at a time up to "
        f"{in_mib(most // config.source.concurrency)}"
    )


def warnings_of_memory(settings: Settings, config: PipelineSettings) -> Iterator[str]:
    """Where limits that somebody set, and the memory, do not fit each other."""
    bound, limits = memory_bytes(settings.memory), config.source.limits
    said = "memory" in settings.model_fields_set
    if (said or "body" in limits.model_fields_set) and limits.body * TYPICAL > bound:
        yield (
            f"source.limits.body: {in_mib(limits.body)} are allowed, and a page of that size takes "
            f"about {in_mib(limits.body * TYPICAL)} when it is decoded, but there are "
            f"{in_mib(bound)} of memory for all pages: larger pages than about "
            f"{in_mib(bound // TYPICAL)} park their partition; lower the limit or raise memory"
        )
    if settings.memory is not None and settings.memory + PROCESS_BYTES > (limit := memory_limit()):
        yield (
            f"memory: {in_mib(settings.memory)} for pages and about {in_mib(PROCESS_BYTES)} for "
            f"the process are more than the {in_mib(limit)} that the container or the machine has"
        )
    if config.channel_bytes is not None and config.channel_bytes > bound:
        yield (
            f"channel_bytes: {in_mib(config.channel_bytes)} cap nothing, because there are "
            f"{in_mib(bound)} of memory for all pipelines"
        )


def page_in_words(body_bytes: int, page_bytes: int, bound: int) -> str:
    """What a page took that was looked at."""
    return (
        f"its body has {in_mib(body_bytes)} and takes {in_mib(page_bytes)} decoded; "
        f"{bound // max(page_bytes, 1)} such pages fit {in_mib(bound)} of memory"
    )
