"""Where pipelines write: the sinks of an attempt, and what commands see of the same places."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from worker.components import FORMATS, SINKS
from worker.config.files import check_text
from worker.core.errors import ConfigError
from worker.core.model import DEAD_LETTERS, ChainState
from worker.core.ports import Clock, CommitLog, CommitRecords, OutputRoot, Outputs
from worker.formats.component import Encoder
from worker.formats.ndjson import NdjsonEncoder
from worker.runtime.expiry import Expiry
from worker.settings import Settings
from worker.sinks.config import SinkDeps
from worker.sinks.files import FilesSink
from worker.sinks.files_root import FilesRoot
from worker.sinks.used_roots import UsedRoots
from worker.wiring.parts import Parts

NOWHERE: Final[Mapping[str, str]] = MappingProxyType({})


def outputs_of(
    settings: Settings, parts: Parts, used: UsedRoots
) -> Callable[[ChainState], Outputs]:
    """Makes where an attempt writes from the chain that it claimed.

    Raises ConfigError for a directory that cannot be named.

    Args:
        used: the roots of this process.
    """
    config = parts.config.sink
    sink, file_format = SINKS.load(config.type), FORMATS.load(config.format)
    records, dead = output_paths(settings, parts.name)
    for root in (records, dead):
        try:
            check_text(root)
        except ValueError as error:
            raise ConfigError(
                str(error), where=f"pipelines.{parts.name}", remedy="choose another directory"
            ) from error

    def build(chain: ChainState) -> Outputs:
        def encoder(fingerprint: str, at: int, group: int | None) -> Encoder:
            metadata = {
                "worker.pipeline": parts.name,
                "worker.lineage": chain.lineage,
                "worker.seq": str(at),
                "worker.fingerprint": fingerprint,
            }
            if group is not None:
                metadata["worker.pass"] = str(group)
            found: Encoder = file_format.encoder(parts.output, config.codec, metadata)
            return found

        deps = SinkDeps(chain, encoder, used)
        letters = FilesSink(
            root=dead,
            chain=chain,
            encoder=lambda *_: NdjsonEncoder(),
            kind=DEAD_LETTERS,
            mode=0o600,
            files_are_taken=config.files_are_taken,
            used=used,
        )
        return Outputs(sink.build(config, deps), letters, sink.commits(config, deps))

    return build


def output_roots(
    settings: Settings, pipeline: str, places: Mapping[str, str] = NOWHERE
) -> tuple[OutputRoot, OutputRoot]:
    """Where a pipeline publishes: (records, dead letters).

    Args:
        places: where each root was last seen (`CommitHistory.places`), to find earlier files.
    """
    sink = settings.pipelines[pipeline].sink
    records: OutputRoot = SINKS.load(sink.type).root(sink, places)
    _, dead = output_paths(settings, pipeline)
    return records, FilesRoot(dead, DEAD_LETTERS, places)


def lineages_at(root: OutputRoot, pipeline: str) -> set[str]:
    """The lineages of a pipeline that left anything at an output, published files included."""
    return {*root.lineages(pipeline), *root.published_lineages(pipeline)}


def output_paths(settings: Settings, pipeline: str) -> tuple[Path, Path]:
    """The directories of (records, dead letters)."""
    config = settings.pipelines[pipeline]
    dead = config.dead_letters.path or settings.state.path / "dead_letters" / pipeline
    return config.sink.path.absolute(), dead.absolute()


def expiry_of(
    settings: Settings, pipeline: str, clock: Clock
) -> Callable[[CommitLog], Expiry] | None:
    """Makes what removes the dead letters that are too old; None where they are kept."""
    keep_s = settings.pipelines[pipeline].dead_letters.keep_for
    if keep_s is None:
        return None

    def build(log: CommitLog) -> Expiry:
        def root() -> OutputRoot:
            return output_roots(settings, pipeline, log.places(pipeline))[1]

        return Expiry(log, root, pipeline, clock, keep_s=keep_s)

    return build


def commit_records(
    settings: Settings, pipeline: str, lineage: str, shard: int = 0
) -> CommitRecords:
    """The records of the commits of a chain, to be looked at and pruned."""
    config = settings.pipelines[pipeline].sink
    seen = ChainState(pipeline, shard, lineage)
    records: CommitRecords = SINKS.load(config.type).commits(config, SinkDeps(seen, _no_encoder))
    return records


def _no_encoder(fingerprint: str, seq: int, group: int | None) -> Encoder:
    raise AssertionError("who only looks writes nothing")
