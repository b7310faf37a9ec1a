"""What every sink promises, and the root that its files are found in, as tests (pytest is needed).

    class TestMySink(SinkContract):
        @pytest.fixture
        def place(self, tmp_path: Path) -> SinkPlace:
            return MyPlace(tmp_path)

The rows of the chunks are lines of text, so that what comes out can be compared with what went in.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from hashlib import sha256
from typing import Protocol, TypeAlias

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from worker.core.digest import record_head
from worker.core.errors import (
    ConfigError,
    Fenced,
    PublishConflict,
    RootUnknown,
    SinkUnavailable,
    StateError,
    Unproven,
)
from worker.core.model import (
    DEAD_LETTERS,
    RECORDS,
    ChainRow,
    ChainState,
    Chunk,
    CommitRow,
    Ledger,
    Root,
    StagedFile,
)
from worker.core.ports import CommitRecords, FileState, OutputRoot, Sink

PIPELINE = "p"
LINEAGE = "0123456789abcdef"
OTHER = "fedcba9876543210"


class SinkPlace(Protocol):
    """One output, empty at first, over which sinks are made as attempts and processes make them."""

    def sink(self, chain: ChainState, *, kind: str = RECORDS, taken: bool = False) -> Sink:
        """A sink that is not prepared yet.

        Args:
            taken: consumers take files away as soon as they are published.
        """

    def commits(self, chain: ChainState) -> CommitRecords:
        """The records of the commits of a chain, whose sink of records is prepared."""

    def root(self, kind: str = RECORDS) -> OutputRoot:
        """The same output as commands see it."""

    def put(self, name: str, data: bytes) -> None:
        """Puts a content at a name below the root, as somebody else would; also over another."""

    def take(self, name: str) -> None:
        """Takes away what has a name below the root, as somebody else would."""


def chunk(route: str, *lines: str, fingerprint: str = "f" * 16, group: int | None = None) -> Chunk:
    """Lines of text for a route."""
    data = "".join(f"{line}\n" for line in lines).encode()
    return Chunk(route=route, fingerprint=fingerprint, rows=len(lines), data=data, group=group)


def chain(
    pipeline: str = PIPELINE,
    lineage: str = LINEAGE,
    *,
    seq: int = 1,
    owner: str = "one",
    owners: tuple[str, ...] = (),
) -> ChainState:
    """A chain whose next commit is `seq`."""
    return ChainState(pipeline, 0, lineage, seq=seq - 1, owner=owner, owners=owners)


def prepared(
    place: SinkPlace,
    *,
    kind: str = RECORDS,
    seq: int = 1,
    owner: str = "one",
    owners: tuple[str, ...] = (),
    taken: bool = False,
) -> Sink:
    """A sink as an attempt begins with it."""
    sink = place.sink(chain(seq=seq, owner=owner, owners=owners), kind=kind, taken=taken)
    sink.prepare(())
    return sink


def record(owner: str) -> bytes:
    """A commit record, as far as its place is concerned."""
    return f'{{"id": "of {owner}", "owner": "{owner}"}}'.encode()


def committed() -> CommitRow:
    """Commit 7 of a chain."""
    return CommitRow(
        pipeline=PIPELINE,
        shard=0,
        lineage=LINEAGE,
        seq=7,
        epoch=1,
        id="c7",
        at="",
        ledger=Ledger(),
        files=(),
        ends=(),
        previous="d6",
        digest="d7",
    )


def staged(sink: Sink, *chunks: Chunk) -> tuple[StagedFile, ...]:
    """Puts chunks into a commit, and seals it."""
    for each in chunks:
        put(sink, each)
    return sink.seal()


def put(sink: Sink, chunk: Chunk) -> None:
    """As a writer does."""
    if not sink.collect(chunk):
        sink.write(chunk)


def standing(root: OutputRoot, files: Iterable[StagedFile]) -> set[FileState]:
    """Where the files are."""
    return {root.standing(file) for file in files}


Rows: TypeAlias = list[tuple[str, str, int | None, list[str]]]
"""Route, fingerprint, group and lines of one chunk each."""

_ROWS = st.lists(
    st.tuples(
        st.sampled_from(["", "a=1", "a=2/b=x"]),
        st.sampled_from(["e" * 16, "f" * 16]),
        st.sampled_from([None, 1, 2]),
        st.lists(st.text("abc", min_size=1, max_size=5), min_size=1, max_size=4),
    ),
    max_size=12,
)


class SinkContract:
    """Inherit from it in a test module."""

    @pytest.fixture
    def place(self) -> SinkPlace:
        raise NotImplementedError("the fixture that makes an empty output")

    # -- staging and publishing ------------------------------------------------------------------

    def test_nothing_is_seen_before_it_is_published_and_then_all_of_it(
        self, place: SinkPlace
    ) -> None:
        sink, root = prepared(place), place.root()
        files = staged(sink, chunk("a=1", "x", "y"), chunk("a=2", "z"), chunk("a=1", "w"))
        assert standing(root, files) == {FileState.STAGED}
        assert list(root.listing(PIPELINE, LINEAGE)) == []
        sink.publish(1, files)
        assert standing(root, files) == {FileState.PUBLISHED}
        assert sorted(root.listing(PIPELINE, LINEAGE)) == sorted(map(root.place, files))
        found = {file.final.split("/")[0]: b"".join(root.lines(file)) for file in files}
        assert found == {"a=1": b"x\ny\nw\n", "a=2": b"z\n"}

    def test_publishing_can_be_repeated(self, place: SinkPlace) -> None:
        sink, root = prepared(place), place.root()
        files = staged(sink, chunk("", "x"), chunk("a=1", "y"))
        for _ in range(2):
            sink.publish(1, files)
            assert [b"".join(root.lines(file)) for file in files] == [b"x\n", b"y\n"]
        prepared(place, seq=2).publish(1, files)
        assert standing(root, files) == {FileState.PUBLISHED}

    def test_publishing_goes_on_where_it_was_killed(self, place: SinkPlace) -> None:
        sink, root = prepared(place), place.root()
        files = staged(sink, chunk("", "x"), chunk("a=1", "y"), chunk("a=2", "z"))
        sink.publish(1, files[:1])
        sink.close()
        prepared(place, seq=2).publish(1, files)
        assert standing(root, files) == {FileState.PUBLISHED}

    def test_a_file_that_is_staged_and_published_is_published_once(self, place: SinkPlace) -> None:
        sink, root = prepared(place), place.root()
        (file,) = staged(sink, chunk("", "x"))
        sink.publish(1, [file])
        place.put(file.staging, b"".join(root.lines(file)))  # killed between copy and delete
        sink.publish(1, [file])
        assert [b"".join(root.lines(file)), sink.sweep(()).files] == [b"x\n", 0]

    def test_publishing_never_replaces(self, place: SinkPlace) -> None:
        sink, root = prepared(place), place.root()
        (file,) = staged(sink, chunk("", "x"))
        place.put(file.final, b"somebody else's")
        with pytest.raises(PublishConflict):
            sink.publish(1, [file])
        assert list(root.lines(file)) == [b"somebody else's"]

    def test_a_file_is_described_as_it_is(self, place: SinkPlace) -> None:
        sink, root = prepared(place), place.root()
        files = staged(sink, chunk("", "x", "y"), chunk("a=1", "z"))
        sink.publish(1, files)
        for file in files:
            data = b"".join(root.lines(file))
            assert (file.size_bytes, file.sha256) == (len(data), sha256(data).hexdigest())
            evidence = root.examine(file)
            assert (evidence.rows, evidence.size_bytes) == (file.rows, file.size_bytes)
            assert (evidence.sha256, evidence.problem) == (file.sha256, "")
        assert [file.rows for file in files] == [2, 1]

    @settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(rows=_ROWS)
    def test_every_line_is_in_one_file_of_its_kind_in_order(
        self, place: SinkPlace, rows: Rows
    ) -> None:
        sink, root = prepared(place), place.root()
        files = staged(
            sink,
            *(chunk(route, *lines, fingerprint=f, group=group) for route, f, group, lines in rows),
        )
        sink.publish(1, files)
        expected: dict[tuple[str, str, int | None], list[bytes]] = {}
        for route, fingerprint, group, lines in rows:
            found = expected.setdefault((route, fingerprint, group), [])
            found += [f"{line}\n".encode() for line in lines]
        got = [(_route(file), file.fingerprint, tuple(root.lines(file))) for file in files]
        assert Counter(got) == Counter(
            (route, fingerprint, tuple(lines))
            for (route, fingerprint, _), lines in expected.items()
        )
        for file in files:
            root.delete(file)

    def test_what_was_left_is_in_its_commit_all_the_same(self, place: SinkPlace) -> None:
        sink, root = prepared(place), place.root()
        for group, line in ((1, "a"), (2, "b"), (None, "c")):
            put(sink, chunk("", line, group=group))
        sink.leave(2)
        sink.leave(2)
        put(sink, chunk("", "d", group=2))
        files = sink.seal()
        sink.publish(1, files)
        lines = [list(root.lines(file)) for file in files]
        assert sorted(lines) == [[b"a\n"], [b"b\n", b"d\n"], [b"c\n"]]

    def test_names_are_never_given_twice(self, place: SinkPlace) -> None:
        sink = prepared(place)
        names = []
        for seq in (1, 2, 3):
            sink.begin(seq)
            files = staged(sink, chunk("", "x"), chunk("a=1", "y"))
            names += [file.final for file in files] + [file.staging for file in files]
            sink.publish(1, files)
        assert len(set(names)) == 12

    def test_a_commit_without_chunks_has_no_files(self, place: SinkPlace) -> None:
        sink = prepared(place)
        assert sink.seal() == ()
        staged(sink, chunk("", "x"))
        sink.begin(2)
        assert (sink.seal(), sink.full) == ((), False)

    # -- recovery --------------------------------------------------------------------------------

    def test_what_was_not_committed_is_swept(self, place: SinkPlace) -> None:
        sink, root = prepared(place), place.root()
        files = staged(sink, chunk("", "x"), chunk("a=1", "y"))
        sink.begin(2)
        put(sink, chunk("", "open"))
        sink.close()
        again = prepared(place, owner="two", owners=("one",))
        assert again.sweep(("one",)).files >= 2
        assert standing(root, files) == {FileState.GONE}
        assert again.sweep(("one",)).files == 0

    def test_only_the_own_staging_is_swept(self, place: SinkPlace) -> None:
        sink, other = prepared(place), place.sink(chain("q"))
        other.prepare(())
        files, others = staged(sink, chunk("", "x")), staged(other, chunk("", "y"))
        assert sink.sweep(()).files == 1
        assert standing(place.root(), files) == {FileState.GONE}
        assert standing(place.root(), others) == {FileState.STAGED}

    def test_what_an_owner_left_that_this_state_never_had_is_named_and_stays(
        self, place: SinkPlace
    ) -> None:
        files = staged(prepared(place, owner="of a copy"), chunk("", "x"))
        swept = prepared(place, owner="two", owners=("one",)).sweep(("one",))
        assert (swept.files, swept.foreign) == (0, ("of a copy",))
        assert standing(place.root(), files) == {FileState.STAGED}

    def test_two_owners_write_beside_each_other(self, place: SinkPlace) -> None:
        one, two = prepared(place), prepared(place, owner="two", owners=("one",))
        put(one, chunk("", "x"))
        two.sweep(("one",))  # one was displaced, and does not know it yet
        put(one, chunk("a=1", "z"))
        (file,) = staged(two, chunk("", "y"))
        one.seal()
        two.publish(1, [file])
        assert b"".join(place.root().lines(file)) == b"y\n"

    def test_many_owners_leave_no_more_than_a_few_directories(self, place: SinkPlace) -> None:
        owners: tuple[str, ...] = ()
        for number in range(60):
            sink = prepared(place, owner=f"o{number}", owners=owners)
            staged(sink, chunk("", "x"))
            sink.close()
            assert sink.sweep(owners).foreign == ()
            owners += (f"o{number}",)

    def test_what_was_published_is_never_swept(self, place: SinkPlace) -> None:
        sink = prepared(place)
        files = staged(sink, chunk("", "x"))
        sink.publish(1, files)
        assert prepared(place, seq=2).sweep(()).files == 0
        assert standing(place.root(), files) == {FileState.PUBLISHED}

    def test_a_staged_file_must_still_be_what_was_committed(self, place: SinkPlace) -> None:
        sink = prepared(place)
        first, second = staged(sink, chunk("", "x"), chunk("a=1", "y"))
        sink.publish(1, [first])
        again = prepared(place, seq=2)
        again.check(1, first)
        again.check(1, second)
        place.put(second.staging, b"z\n")
        with pytest.raises(StateError, match="not the file that was committed"):
            again.check(1, second)

    @pytest.mark.parametrize("taken", [False, True])
    def test_a_file_that_is_nowhere_was_never_published_without_proof(
        self, place: SinkPlace, taken: bool
    ) -> None:
        sink = prepared(place, taken=taken)
        (file,) = staged(sink, chunk("", "x"))
        place.take(file.staging)
        marker = f"{file.staging.rpartition('/')[0]}/000000000001.intact"
        if taken:
            place.take(marker)  # a cleaner by age takes what is older first
        again = prepared(place, owner="two", owners=("one",), taken=taken)
        with pytest.raises(Unproven):
            again.check(1, file)
        with pytest.raises(Unproven):
            again.publish(1, [file])

    @pytest.mark.parametrize("content", [b"", b"z\n", b"longer\n"])
    def test_another_file_of_that_name_proves_nothing(
        self, place: SinkPlace, content: bytes
    ) -> None:
        sink = prepared(place, taken=True)
        (file,) = staged(sink, chunk("", "x"))
        sink.publish(1, [file])
        sink.settle(1)
        place.put(file.final, content)
        with pytest.raises(Unproven):
            prepared(place, owner="two", owners=("one",)).check(1, file)

    def test_what_consumers_may_take_was_published_while_its_marker_stands(
        self, place: SinkPlace
    ) -> None:
        sink = prepared(place, taken=True)
        files = staged(sink, chunk("", "x"), chunk("a=1", "y"))
        sink.publish(1, files[:1])
        place.take(files[0].final)
        again = prepared(place, owner="two", owners=("one",), taken=True)
        for file in files:
            again.check(1, file)
        again.publish(1, files)
        assert place.root().standing(files[1]) is FileState.PUBLISHED
        assert place.root().standing(files[0]) is FileState.GONE
        with pytest.raises(Unproven):
            prepared(place, owner="three", owners=("one", "two")).check(1, files[0])
        sink.settle(1)
        with pytest.raises(Unproven):
            again.check(1, files[0])

    # -- records of commits ----------------------------------------------------------------------

    def test_a_record_is_proof_once_its_commit_was_made(self, place: SinkPlace) -> None:
        sink, root = prepared(place), place.root()
        commits = place.commits(chain())
        assert (commits.newest(), commits.staged(1), commits.proven(1)) == (0, None, None)
        commits.stage(1, record("one"))
        assert (commits.newest(), commits.staged(1)) == (0, record("one"))
        commits.prove(1)
        assert (commits.newest(), commits.staged(1)) == (1, None)
        assert commits.proven(1) == record("one")
        assert (sink.sweep(()).files, list(root.listing(PIPELINE, LINEAGE))) == (0, [])

    def test_what_an_earlier_owner_staged_is_replaced(self, place: SinkPlace) -> None:
        prepared(place)
        place.commits(chain()).stage(1, record("one"))
        later = place.commits(chain(owner="two", owners=("one",)))
        later.stage(1, record("two"))
        later.stage(1, record("two"))  # a second attempt of the same process
        later.prove(1)
        assert later.proven(1) == record("two")

    def test_a_copy_of_the_state_is_fenced_before_it_commits(self, place: SinkPlace) -> None:
        prepared(place)
        one, copy = place.commits(chain()), place.commits(chain(owner="of a copy"))
        one.stage(1, record("one"))
        with pytest.raises(Fenced):
            copy.stage(1, record("of a copy"))
        one.prove(1)
        with pytest.raises(Fenced):
            copy.stage(1, record("of a copy"))
        assert one.proven(1) == record("one")

    def test_whoever_was_displaced_proves_nothing(self, place: SinkPlace) -> None:
        prepared(place)
        one, two = place.commits(chain()), place.commits(chain(owner="two", owners=("one",)))
        one.stage(1, record("one"))
        two.stage(1, record("two"))
        with pytest.raises(Fenced):
            one.prove(1)
        two.prove(1)
        assert two.proven(1) == record("two")

    def test_the_record_of_an_older_format_can_be_dropped_twice(self, place: SinkPlace) -> None:
        prepared(place)
        commits = place.commits(chain())
        commits.stage(1, record("one"))
        commits.prove(1)
        for _ in range(2):
            commits.drop(1)
            assert commits.newest() == 0
        commits.sweep()

    def test_records_are_deleted_and_checkpoints_stand_in_for_them(self, place: SinkPlace) -> None:
        prepared(place)
        commits = place.commits(chain())
        assert (list(commits.seqs()), dict(commits.checkpoints())) == ([], {})
        for number in range(1, 5):
            commits.stage(number, record("one"))
            commits.prove(number)
        assert list(commits.seqs()) == [1, 2, 3, 4]
        assert commits.size_after(2) == 2 * len(record("one"))
        for number in (2, 3, 4):
            commits.write_checkpoint(number, b"c" * number)
            commits.write_checkpoint(number, b"c" * number)
        assert dict(commits.checkpoints()) == {3: 3, 4: 4}
        assert commits.read_checkpoint(4) == b"cccc"
        assert commits.read_checkpoint(2) is None
        for _ in range(2):
            commits.delete([1, 3])
            assert list(commits.seqs()) == [2, 4]
        assert (commits.newest(), commits.proven(3)) == (4, None)

    def test_what_a_lineage_left_beside_its_files_is_forgotten(self, place: SinkPlace) -> None:
        sink, root = prepared(place), place.root()
        place.sink(chain("q")).prepare(())
        (file,) = staged(sink, chunk("a=1", "x"))
        sink.publish(1, [file])
        commits = place.commits(chain())
        commits.stage(1, record("one"))
        for _ in range(2):
            root.forget(PIPELINE, LINEAGE)
            assert list(root.lineages(PIPELINE)) == []
        assert list(root.lineages("q")) == [LINEAGE]
        assert list(root.listing(PIPELINE, LINEAGE)) == [root.place(file)]
        for _ in range(2):
            root.remove(root.place(file))
            assert root.standing(file) is FileState.GONE

    def test_another_lineage_of_the_pipeline_is_refused_unless_it_is_known(
        self, place: SinkPlace
    ) -> None:
        prepared(place)
        assert place.root().lineages(PIPELINE) == [LINEAGE]
        with pytest.raises(ConfigError):
            place.sink(chain(lineage=OTHER)).prepare(())
        assert place.root().lineages(PIPELINE) == [LINEAGE]
        place.sink(chain("q", OTHER)).prepare(())
        place.sink(chain(lineage=OTHER)).prepare((LINEAGE,))
        assert sorted(place.root().lineages(PIPELINE)) == sorted([LINEAGE, OTHER])
        assert list(place.root().lineages("never")) == []

    def test_published_files_tell_their_lineage_when_nothing_else_is_left(
        self, place: SinkPlace
    ) -> None:
        sink, root = prepared(place), place.root()
        sink.publish(1, staged(sink, chunk("a=1", "x")))
        root.forget(PIPELINE, LINEAGE)
        assert list(root.published_lineages(PIPELINE)) == [LINEAGE]
        assert list(root.published_lineages("a")) == []
        with pytest.raises(ConfigError):
            place.sink(chain(lineage=OTHER)).prepare(())
        assert list(root.lineages(PIPELINE)) == []
        place.sink(chain(lineage=OTHER)).prepare((LINEAGE,))

    def test_a_record_is_brought_where_the_next_ones_will_be(self, place: SinkPlace) -> None:
        prepared(place)
        commits = place.commits(chain())
        for content in (record("one"), record("another")):
            commits.bring(1, content)
            assert (commits.newest(), commits.proven(1)) == (1, record("one"))

    # -- the root --------------------------------------------------------------------------------

    def test_a_root_has_an_id_that_stays_and_that_files_name(self, place: SinkPlace) -> None:
        sink = place.sink(chain())
        root = sink.prepare(())
        assert root == Root(path=str(place.root()), id=root.id) and root.id
        (file,) = staged(sink, chunk("", "x"))
        assert (file.root_id, file.root) == (root.id, root.path)
        assert place.sink(replace(chain(), roots={RECORDS: root})).prepare(()) == root
        seen = place.root().sight(ChainRow(PIPELINE, 0, LINEAGE, 0, "", 0, 0))
        assert (seen.id, seen.area) == (root.id, True)

    def test_where_another_root_stands_than_is_known_nothing_is_made(
        self, place: SinkPlace
    ) -> None:
        path = str(place.root())
        known = replace(chain(), roots={RECORDS: Root(path=path, id="another")})
        with pytest.raises(SinkUnavailable, match="worker state adopt CONFIG p --root"):
            place.sink(known).prepare(())
        assert place.root().lineages(PIPELINE) == []
        elsewhere = replace(
            known, roots={RECORDS: Root(path="/nowhere", id="another")}, last=committed()
        )
        with pytest.raises(RootUnknown, match="worker state adopt CONFIG p --root"):
            place.sink(elsewhere).prepare(())
        assert place.root().lineages(PIPELINE) == []

    def test_a_root_that_is_adopted_proves_the_last_commit(self, place: SinkPlace) -> None:
        root, at = place.root(), ChainRow(PIPELINE, 0, LINEAGE, 7, "d7", 1, 7)
        made = root.adopt(at, committed(), "")
        assert (root.newest(at), root.record(at, 6)) == (7, None)
        head = record_head(root.record(at, 7) or b"")
        assert head is not None and head.is_of(committed())
        known = replace(chain(seq=8), roots={RECORDS: made}, last=committed())
        assert place.sink(known).prepare(()) == made
        assert place.root().adopt(None, None, "") == made

    def test_what_is_staged_can_be_published_by_a_command(self, place: SinkPlace) -> None:
        sink, root = prepared(place), place.root()
        (file,) = staged(sink, chunk("a=1", "x"))
        root.publish(file)
        assert (root.standing(file), list(root.lines(file))) == (FileState.PUBLISHED, [b"x\n"])

    def test_files_that_others_put_there_are_listed(self, place: SinkPlace) -> None:
        sink, root = prepared(place), place.root()
        files = staged(sink, chunk("a=1", "x"))
        sink.publish(1, files)
        name = f"a=1/{PIPELINE}-{LINEAGE}-000000000009-0001.x"
        place.put(name, b"y\n")
        place.put(f"{PIPELINE}-{OTHER}-000000000001-0001.x", b"of another lineage\n")
        found = set(root.listing(PIPELINE, LINEAGE)) - set(map(root.place, files))
        assert len(found) == 1 and found.pop().endswith(name)

    def test_a_changed_file_is_seen(self, place: SinkPlace) -> None:
        sink, root = prepared(place), place.root()
        (file,) = staged(sink, chunk("", "x", "y"))
        sink.publish(1, [file])
        place.put(file.final, b"x\nz\n")
        evidence = root.examine(file)
        assert (evidence.rows, evidence.size_bytes, evidence.problem) == (2, file.size_bytes, "")
        assert evidence.sha256 != file.sha256

    def test_a_file_that_was_taken_away_is_gone_and_can_be_deleted_again(
        self, place: SinkPlace
    ) -> None:
        sink, root = prepared(place, kind=DEAD_LETTERS), place.root(DEAD_LETTERS)
        (file,) = staged(sink, chunk("", "x"))
        sink.publish(1, [file])
        for _ in range(2):
            root.delete(file)
            assert (root.standing(file), list(root.lines(file))) == (FileState.GONE, [])
        assert root.examine(file).problem.startswith("cannot be read")
        assert list(root.listing(PIPELINE, LINEAGE)) == []

    @pytest.mark.parametrize("kind", [RECORDS, DEAD_LETTERS])
    def test_files_and_roots_say_their_kind(self, place: SinkPlace, kind: str) -> None:
        sink, root = prepared(place, kind=kind), place.root(kind)
        (file,) = staged(sink, chunk("", "x"))
        assert (sink.kind, file.kind, root.kind) == (kind, kind, kind)
        assert file.root in str(root)


def _route(file: StagedFile) -> str:
    route, _, _ = file.final.rpartition("/")
    return route
