"""The tests of each module whose mutants are made: its own first, then those of what uses it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]


def _tests(room: str, *names: str) -> tuple[str, ...]:
    return tuple(f"tests/{room}/test_{name}.py" for name in names)


def _paging(*names: str) -> tuple[str, ...]:
    """The own tests, and those that read whole passes."""
    return _tests("paging", *dict.fromkeys((*names, "alarms", "judge", "resume", "planner")))


_AUDIT: Final = _tests("runtime", "corruptions", "verify")
_KEEPER: Final = _tests("runtime", "keeper")
_COMMITTER: Final = _tests("runtime", "committer")
_PAGES: Final = _tests("docs", "reference")  # compares bounds and defaults of keys
_YEARS: Final = _tests("cli", "years")
_ADOPT: Final = _tests("cli", "adopt")
_LOG: Final = (*_tests("state", "commit_log", "sqlite", "hazards"), *_KEEPER, *_YEARS)
_SINK: Final = (*_tests("sinks", "contract", "files", "chain_root"), *_COMMITTER, *_AUDIT, *_YEARS)
_TIMES: Final = _tests("core", "written_times", "time_columns")

_OWN: Final[Mapping[str, tuple[str, ...]]] = {
    "core/adoption.py": (*_tests("core", "meaning"), *_ADOPT),
    "core/audit.py": (*_tests("core", "audit"), *_AUDIT),
    "core/checkpoint.py": (*_tests("core", "rebuild"), *_KEEPER),
    "core/collect.py": (*_tests("wiring", "record_paths"), *_tests("transforms", "texts")),
    "core/cursor.py": _tests("core", "cursor", "meaning") + _paging("recovery"),
    "core/dead_letter.py": (*_tests("core", "dead_letter"), "tests/test_writer.py", *_KEEPER),
    "core/delivery.py": _tests("core", "delivery") + _tests("wiring", "describe", "warnings"),
    "core/digest.py": (*_tests("core", "digest"), *_AUDIT, *_COMMITTER),
    "core/errors.py": (*_tests("core", "errors"), *_PAGES),
    "core/found.py": (*_tests("core", "found"), *_LOG, *_tests("runtime", "roster")),
    "core/events.py": (*_tests("telemetry", "emit", "series", "logs"), *_tests("wiring", "hangs")),
    "core/identities.py": _tests("core", "identities", "replay") + _tests("paging", "duplicates"),
    "core/instants.py": _tests("core", "instants") + _tests("paging", "bound", "windows"),
    "core/json_kinds.py": _tests("transforms", "kinds", "texts") + _tests("core", "replay"),
    "core/jsonpath.py": _tests("core", "jsonpath") + _tests("wiring", "spelled", "record_paths"),
    "core/matching.py": (*_COMMITTER, *_tests("state", "hazards"), *_tests("sinks", "contract")),
    "core/meaning.py": _tests("core", "meaning") + _tests("state", "commit_log"),
    "core/memory_sum.py": _tests("core", "memory_sum") + _tests("state", "commit_log"),
    "core/meter.py": (*_tests("core", "meter"), "tests/test_writer.py"),
    "core/model.py": (
        *_tests("core", "audit", "news"),
        "tests/test_writer.py",
        "tests/test_pipeline.py",
        *_paging("planner"),
    ),
    "core/names.py": _tests("core", "names"),
    "core/news.py": _tests("core", "news"),
    "core/outline.py": _tests("core", "outline"),
    "core/ports.py": (*_COMMITTER, *_tests("state", "commit_log"), *_tests("sinks", "contract")),
    "core/rebuild.py": (*_tests("core", "rebuild"), *_KEEPER, *_YEARS),
    "core/replays.py": (*_tests("core", "replay"), *_AUDIT, *_KEEPER),
    "core/roots.py": _tests("core", "roots") + _tests("sinks", "chain_root", "contract"),
    "core/sizes.py": _tests("wiring", "memory", "describe"),
    "core/time_columns.py": _tests("core", "time_columns") + _tests("paging", "columns"),
    "core/time_patterns.py": _TIMES,
    "core/urls.py": _tests("core", "urls") + _tests("sources", "requests"),
    "core/word_columns.py": _tests("core", "time_columns") + _tests("paging", "columns"),
    "core/written_times.py": _TIMES,
    "paging/ahead.py": _paging("ahead", "planner", "page_sizes", "windowed_passes"),
    "paging/bound.py": _paging("bound"),
    "paging/counting.py": _paging("counting"),
    "paging/due.py": _paging("due", "schedule"),
    "paging/duplicates.py": _paging("duplicates", "columns", "skipped_pages"),
    "paging/emptiness.py": _paging("endings"),
    "paging/endings.py": _paging("endings"),
    "paging/judge.py": _paging("judge", "alarms", "skipped_pages", "windowed_passes"),
    "paging/loops.py": _paging("loops"),
    "paging/mark_rules.py": _paging("mark_rules", "alarms", "marks", "recovery", "windowed_passes"),
    "paging/marks.py": _paging("marks", "columns", "duplicates"),
    "paging/memory.py": _paging("memory"),
    "paging/page_sizes.py": _paging("page_sizes", "skipped_pages"),
    "paging/planner.py": _paging("planner", "page_sizes", "windowed_passes"),
    "paging/proof.py": _paging("endings", "skipped_pages"),
    "paging/refused_pages.py": _paging("skipped_pages", "page_sizes"),
    "paging/resume.py": _paging("resume"),
    "paging/schedule.py": _paging("schedule"),
    "paging/seam.py": _paging("loops"),
    "paging/seen.py": _paging("seen"),
    "paging/spec.py": _paging("alarms"),
    "paging/standing.py": _paging("standing"),
    "paging/steps.py": _paging("alarms", "skipped_pages", "windowed_passes"),
    "paging/style.py": _paging("style", "windowed_passes"),
    "paging/totals.py": _paging("totals"),
    "paging/verdict.py": _paging("judge"),
    "paging/windows.py": _paging("windows", "windowed_passes"),
    "runtime/committer.py": (*_COMMITTER, *_tests("state", "hazards"), "tests/test_writer.py"),
    "sinks/chain_root.py": (*_tests("sinks", "chain_root"), *_SINK),
    "sinks/commit_records.py": _SINK,
    "sinks/config.py": ("tests/test_settings.py", *_tests("config", "problems", "merge"), *_PAGES),
    "sinks/files.py": (*_SINK, *_PAGES),
    "sinks/files_root.py": (*_SINK, *_ADOPT),
    "sinks/root_ids.py": (*_tests("sinks", "chain_root"), *_SINK),
    "sinks/used_roots.py": (*_tests("sinks", "used_roots"), *_ADOPT),
    "state/commit_rows.py": _LOG,
    "state/config.py": ("tests/test_settings.py", *_PAGES),
    "state/database.py": (*_tests("state", "sqlite"), *_LOG, *_tests("runtime", "descriptors")),
    "state/images.py": _LOG,
    "state/kept_secrets.py": _tests("state", "kept_secrets"),
    "state/lock.py": (*_tests("state", "lock"), *_AUDIT, *_YEARS),
    "state/found.py": _LOG,
    "state/remembered.py": _LOG,
    "state/retention.py": _LOG,
    "state/schemas.py": (*_tests("state", "schemas"), *_tests("http", "schema_registry")),
    "state/sqlite.py": (*_LOG, *_ADOPT),
    "state/tables.py": _LOG,
}
# last, because it imports more than the others need
COMMANDS: Final = {
    module: tuple(dict.fromkeys((*tests, "tests/test_values.py"))) for module, tests in _OWN.items()
}
