"""`verify` over what a config names."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from worker.core.audit import Finding
from worker.core.errors import RootUnknown, SinkUnavailable
from worker.core.ports import CommitHistory
from worker.runtime.verify import Beside, Report, Since, verify
from worker.schema.canonical import fingerprint
from worker.schema.parse import parse_schema
from worker.settings import Settings
from worker.state.lock import is_locked
from worker.wiring.known_roots import OutputsSeen, outputs_seen
from worker.wiring.outputs import commit_records


def verified(
    settings: Settings,
    log: CommitHistory,
    pipeline: str,
    *,
    since: Since | None = None,
    progress: Callable[[Report, int], None] = lambda report, commits: None,
) -> Report:
    """What is not as it was committed. Raises what `verify` raises.

    Args:
        since, progress: see `verify` and `Beside`.
    """
    config = settings.pipelines[pipeline]
    seen = outputs_seen(log, settings, pipeline)
    beside = Beside(
        roots=[each.root for each in seen.roots],
        records=lambda chain: commit_records(settings, pipeline, chain.lineage, chain.shard),
        fingerprint_of=_fingerprint_of,
        files_are_taken=config.sink.files_are_taken,
        meaning=config.meaning(),
        is_running=partial(is_locked, settings.state.path.absolute()),
        progress=progress,
    )
    report = verify(log, pipeline, beside, since=since)
    report.findings += _roots(seen)
    return report


def _roots(seen: OutputsSeen) -> Iterator[Finding]:
    """Roots with another id than the state knows, at which a run would stop."""
    for each in seen.roots:
        try:
            each.refuse(seen.pipeline)
        except (SinkUnavailable, RootUnknown) as error:
            yield Finding("root", str(each.root), error.message)


def _fingerprint_of(text: str) -> str:
    return fingerprint(parse_schema(text, strict=False))
