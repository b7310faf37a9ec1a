"""The benchmark itself: its rows are valid, it counts what was written, it says what failed.

Nothing here looks at a time.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import pytest
from benchmarks import configs
from benchmarks.contenders import Contender, Script, Worker
from benchmarks.measure import Place, Series, add, check, measure, serving
from benchmarks.process import RunFailed
from benchmarks.rows import PAGES, POLLS, ROWS, PageRow, PollRow, chosen

from worker.cli.check import examine

HERE = Worker("worker", Path(sys.executable))
NAMED = {row.name: row for row in PAGES}
SMALL = [
    replace(NAMED["bad"], pages=1),
    replace(NAMED["partitions"], pages=3),
    replace(NAMED["csv"], pages=2),
    replace(NAMED["commits-100k"], pages=3, commits_before=300),
]


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    with serving(SMALL) as found:
        yield found


@pytest.mark.parametrize("row", [*PAGES, *POLLS], ids=lambda row: row.name)
def test_the_config_of_each_row_is_valid(row: PageRow | PollRow, tmp_path: Path) -> None:
    server = "http://127.0.0.1:9"
    if isinstance(row, PageRow):
        document = configs.page_document(row, row.pages, server)
    else:
        document = configs.poll_document(replace(row, pipelines=2), "worker", server)
    configs.write(document, tmp_path)
    problems, _ = examine((tmp_path / configs.NAME,))
    assert not problems


@pytest.mark.parametrize("contender", [HERE, Script()], ids=lambda each: each.label)
@pytest.mark.parametrize("row", SMALL, ids=lambda row: row.name)
def test_worker_and_script_write_every_record_of_a_row(
    row: PageRow, contender: Contender, place: Place
) -> None:
    usage = measure(row, contender, place, pages=row.pages)  # raises when records are missing
    assert usage.cpu_s > 0
    assert usage.wall_s > 0


def test_a_log_is_grown_to_as_many_commits_as_the_row_wants(place: Place, tmp_path: Path) -> None:
    from worker.state.sqlite import SqliteCommitLog

    row = SMALL[-1]
    HERE.pages(row, row.pages, place.server, tmp_path)
    log = SqliteCommitLog(tmp_path / configs.STATE / "state.db", read_only=True)
    try:
        commits = list(log.commits("bench"))
        assert [commit.seq for commit in commits] == list(range(1, row.commits_before + 1))
        assert len({file.final for commit in commits for file in commit.files}) == 300
    finally:
        log.close()


@pytest.mark.parametrize(
    ("kept", "sent", "written"), [(1.0, 100, 99), (1.0, 100, 101), (0.99, 100, 98), (None, 100, 0)]
)
def test_a_run_that_wrote_other_records_than_the_row_keeps_is_a_failure(
    kept: float | None, sent: int, written: int
) -> None:
    row = PageRow(name="x", says="x", pages=1, kept=kept)
    with pytest.raises(RunFailed, match=f"wrote {written} of {sent}"):
        check(row, sent, written, "worker")


def test_a_row_that_fails_says_why_and_is_not_run_again(place: Place) -> None:
    row = replace(SMALL[0], source=MappingProxyType({"unknown": 1}))
    series = Series(row, "worker")
    add(series, row, HERE, place)
    assert "exit 78" in series.failure
    assert not series.runs


def test_the_page_of_benchmarks_names_each_row() -> None:
    page = (Path(__file__).parents[2] / "docs" / "benchmarks.md").read_text()
    assert [name for name in ROWS if f"| `{name}` |" not in page] == []


def test_rows_are_chosen_by_name_and_an_unknown_one_is_refused() -> None:
    assert [row.name for row in chosen("idle,bare")] == ["bare", "idle"]
    assert [row.name for row in chosen("")] == list(ROWS)
    with pytest.raises(SystemExit, match="no row is called fast"):
        chosen("bare,fast")
