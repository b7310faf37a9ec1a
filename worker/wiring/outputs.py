"""Where pipelines write: the sinks of an attempt, and what commands see of the same places."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from worker.components import FORMATS, SINKS
from worker.config.files import check_text
from worker.core.errors import ConfigError
from worker.core.model import DEAD_LETTERS, ChainState
from worker.core.ports import CommitRecords, OutputRoot, Outputs
from worker.formats.component import Encoder
from worker.formats.ndjson import NdjsonEncoder
from worker.settings import Settings
from worker.sinks.config import SinkDeps
from worker.sinks.files import FilesSink
from worker.sinks.files_root import FilesRoot
from worker.wiring.parts import Parts


def outputs_of(settings: Settings, parts: Parts) -> Callable[[ChainState], Outputs]:
    """Makes where an attempt writes from the chain that it claimed.

    Raises ConfigError for a directory that cannot be named.
    """
    config = parts.config.sink
    sink, file_format = SINKS.load(config.type), FORMATS.load(config.format)
    records, dead = _output_paths(settings, parts.name)
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

        deps = SinkDeps(chain, encoder)
        letters = FilesSink(
            root=dead,
            chain=chain,
            encoder=lambda *_: NdjsonEncoder(),
            kind=DEAD_LETTERS,
            mode=0o600,
            files_are_taken=config.files_are_taken,
        )
        return Outputs(sink.build(config, deps), letters, sink.commits(config, deps))

    return build


def output_roots(settings: Settings, pipeline: str) -> tuple[OutputRoot, OutputRoot]:
    """Where a pipeline publishes: (records, dead letters)."""
    sink = settings.pipelines[pipeline].sink
    records: OutputRoot = SINKS.load(sink.type).root(sink)
    _, dead = _output_paths(settings, pipeline)
    return records, FilesRoot(dead, DEAD_LETTERS)


def commit_records(settings: Settings, pipeline: str, lineage: str) -> CommitRecords:
    """The records of the commits of a lineage, to be looked at and pruned."""
    sink = settings.pipelines[pipeline].sink
    deps = SinkDeps(ChainState(pipeline, 0, lineage), _no_encoder)
    found: CommitRecords = SINKS.load(sink.type).commits(sink, deps)
    return found


def _no_encoder(fingerprint: str, seq: int, group: int | None) -> Encoder:
    raise AssertionError("nothing is written")


def _output_paths(settings: Settings, pipeline: str) -> tuple[Path, Path]:
    config = settings.pipelines[pipeline]
    dead = config.dead_letters.path or settings.state.path / "dead_letters" / pipeline
    return config.sink.path.absolute(), dead.absolute()
