"""What a disk may hold after a power loss, rebuilt from the system calls of a process.

A process is traced with strace, together with what it writes. Each of its changes is durable from
the first fsync on that covers it: of a file for what was written, of a directory for its names.
What is not durable when the power goes may be kept, lost or, if it was written, torn, each change
by itself: this is less than file systems promise, and all that POSIX does. Only a rename is never
half done.
"""

from __future__ import annotations

import asyncio
import math
import random
import re
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

CALLS = (
    *("open", "openat", "creat", "close", "dup", "dup2", "dup3", "fcntl", "lseek"),
    *("write", "pwrite64", "writev", "pwritev", "pwritev2", "ftruncate", "truncate", "fallocate"),
    *("fsync", "fdatasync", "rename", "renameat", "renameat2", "link", "linkat", "symlinkat"),
    *("mkdir", "mkdirat", "rmdir", "unlink", "unlinkat", "copy_file_range", "sendfile"),
)
UNKNOWN = {"writev", "pwritev", "pwritev2", "truncate", "fallocate", "symlinkat", "copy_file_range"}
CALL = re.compile(r"(\d+) +(\w+)\((.*)\) += (-?\d+)")
BEGUN = re.compile(r"(\d+) +(\w+\(.*) <unfinished \.\.\.>")
RESUMED = re.compile(r"(\d+) +<\.\.\. \w+ resumed>(.*)")
TOP = 0


@dataclass(frozen=True)
class Written:
    """Bytes of a file."""

    file: int
    offset: int
    data: bytes


@dataclass(frozen=True)
class Resized:
    """The length of a file."""

    file: int
    size: int


@dataclass(frozen=True)
class Named:
    """What names of directories stand for from now on; None: for nothing."""

    names: tuple[tuple[int, str, int | None], ...]


Change = Written | Resized | Named


@dataclass
class Step:
    """A change, the call that made it, and the call that made it durable."""

    change: Change
    at: int
    durable: float = math.inf


@dataclass
class Disk:
    """Files and directories by number; TOP is the directory that is looked at."""

    files: dict[int, bytearray] = field(default_factory=dict)
    directories: dict[int, dict[str, int]] = field(default_factory=lambda: {TOP: {}})

    @classmethod
    def of(cls, top: Path) -> Disk:
        """What is there now."""
        disk, numbers = cls(), {top: TOP}
        for path in sorted(top.rglob("*")):
            numbers[path] = number = len(numbers)
            disk.directories[numbers[path.parent]][path.name] = number
            if path.is_dir():
                disk.directories[number] = {}
            else:
                disk.files[number] = bytearray(path.read_bytes())
        return disk

    def copy(self) -> Disk:
        return Disk(
            {number: bytearray(data) for number, data in self.files.items()},
            {number: dict(names) for number, names in self.directories.items()},
        )

    def apply(self, change: Change) -> None:
        match change:
            case Written(file, offset, data):
                content = self.files.setdefault(file, bytearray())
                content.extend(bytes(max(offset - len(content), 0)))
                content[offset : offset + len(data)] = data
            case Resized(file, size):
                content = self.files.setdefault(file, bytearray())
                del content[size:]
                content.extend(bytes(size - len(content)))
            case Named(names):
                for directory, name, number in names:
                    entries = self.directories.setdefault(directory, {})
                    if number is None:
                        entries.pop(name, None)
                    else:
                        entries[name] = number

    def write(self, top: Path) -> None:
        """Puts it below a directory, in the place of what is there."""
        shutil.rmtree(top)
        self._write(TOP, top)

    def _write(self, number: int, path: Path) -> None:
        if number in self.directories:
            path.mkdir(mode=0o700)
            for name, each in self.directories[number].items():
                self._write(each, path / name)
        else:
            path.write_bytes(self.files.get(number, b""))
            path.chmod(0o600)


async def traced(command: Sequence[str], log: Path) -> int:
    """Runs a command under strace, which writes its calls to `log`: the exit code."""
    strace = ("strace", "-f", "-qq", "-xx", "-s", "100000000", "-o", str(log))
    names = ",".join(f"?{name}" for name in CALLS)
    options = ("-e", f"trace={names}", "-e", "signal=none")
    process = await asyncio.create_subprocess_exec(*strace, *options, *command)
    return await process.wait()


def calls(log: Path) -> Iterator[tuple[str, list[str], int]]:
    """Name, arguments and result of each call that succeeded, in the order of their ends."""
    begun: dict[str, str] = {}
    with log.open() as lines:
        for line in lines:
            if match := BEGUN.match(line):
                begun[match[1]] = match[2]
                continue
            if match := RESUMED.match(line):
                line = f"{match[1]} {begun.pop(match[1])}{match[2]}"
            if (match := CALL.match(line)) and int(match[4]) >= 0:
                yield match[2], match[3].split(", "), int(match[4])


def text(argument: str) -> bytes:
    """A string as strace writes it, in hexadecimal."""
    return bytes.fromhex(argument.strip('"').replace("\\x", ""))


class Recording:
    """The changes of a traced process below a directory.

    Attributes:
        before: what was there when it began.
        steps: its changes in order.
        ends: numbers of the calls after which something changed or became durable.
    """

    def __init__(self, top: Path, before: Disk, log: Path) -> None:
        self.top, self.before = top, before
        self.steps: list[Step] = []
        self.ends: list[int] = []
        self._now = before.copy()
        self._numbers = max([*before.files, *before.directories])
        self._open: dict[int, int] = {}
        self._at: defaultdict[int, int] = defaultdict(int)
        self._pending: list[Step] = []
        for number, (name, arguments, result) in enumerate(calls(log)):
            handler = getattr(self, f"_{name}", None)
            self._number = number
            if handler is not None:
                handler(arguments, result)
            elif name in UNKNOWN and arguments[0].isdigit():
                assert int(arguments[0]) not in self._open, f"{name} is not understood"

    # -- where things are

    def _place(self, name: str, base: str = "AT_FDCWD") -> tuple[int, str] | None:
        """The directory and the last part of a path; None: it leads elsewhere."""
        path = text(name).decode()
        if path.startswith("/") or base.startswith("AT_FDCWD"):
            full = Path(path)  # a process that is traced is given absolute paths only
            if not full.is_relative_to(self.top) or full == self.top:
                return None
            number, parts = TOP, full.relative_to(self.top).parts
        else:
            if int(base) not in self._open:
                return None
            number, parts = self._open[int(base)], Path(path).parts
        for part in parts[:-1]:
            number = self._now.directories[number][part]
        return (number, parts[-1]) if parts else None

    def _found(self, place: tuple[int, str]) -> int | None:
        return self._now.directories[place[0]].get(place[1])

    def _change(self, change: Change) -> None:
        self._now.apply(change)
        step = Step(change, self._number)
        self.steps.append(step)
        self._pending.append(step)
        self.ends.append(self._number)

    def _new(
        self, place: tuple[int, str], kind: dict[int, bytearray] | dict[int, dict[str, int]]
    ) -> int:
        self._numbers += 1
        kind[self._numbers] = bytearray() if kind is self._now.files else {}  # type: ignore[assignment]
        self._change(Named(((*place, self._numbers),)))
        return self._numbers

    # -- descriptors

    def _openat(self, arguments: list[str], result: int) -> None:
        base, name, flags, *_ = arguments
        self._open.pop(result, None)
        if text(name).decode() == str(self.top):
            self._open[result] = TOP
            return
        place = self._place(name, base)
        if place is None or "O_TMPFILE" in flags:
            return
        number = self._found(place)
        if number is None:
            number = self._new(place, self._now.files)
        elif "O_TRUNC" in flags and self._now.files[number]:
            self._change(Resized(number, 0))
        self._open[result], self._at[result] = number, 0
        assert "O_APPEND" not in flags, "appending is not understood"

    def _close(self, arguments: list[str], result: int) -> None:
        self._open.pop(int(arguments[0]), None)

    def _dup(self, arguments: list[str], result: int) -> None:
        self._open.pop(result, None)
        if int(arguments[0]) in self._open:
            self._open[result] = self._open[int(arguments[0])]

    def _fcntl(self, arguments: list[str], result: int) -> None:
        if arguments[1].startswith("F_DUPFD"):
            self._dup(arguments, result)

    def _lseek(self, arguments: list[str], result: int) -> None:
        self._at[int(arguments[0])] = result

    # -- data

    def _write(self, arguments: list[str], result: int) -> None:
        descriptor = int(arguments[0])
        if descriptor in self._open:
            data = text(arguments[1])[:result]
            self._change(Written(self._open[descriptor], self._at[descriptor], data))
            self._at[descriptor] += result

    def _pwrite64(self, arguments: list[str], result: int) -> None:
        descriptor = int(arguments[0])
        if descriptor in self._open:
            data = text(arguments[1])[:result]
            self._change(Written(self._open[descriptor], int(arguments[3]), data))

    def _ftruncate(self, arguments: list[str], result: int) -> None:
        if int(arguments[0]) in self._open:
            self._change(Resized(self._open[int(arguments[0])], int(arguments[1])))

    def _fsync(self, arguments: list[str], result: int) -> None:
        number = self._open.get(int(arguments[0]))
        if number is None:
            return
        for step in self._pending:
            if _owner(step.change) == number:
                step.durable = self._number
        self._pending = [step for step in self._pending if math.isinf(step.durable)]
        self.ends.append(self._number)

    _fdatasync = _fsync

    # -- names

    def _mkdirat(self, arguments: list[str], result: int) -> None:
        if place := self._place(arguments[1], arguments[0]):
            self._new(place, self._now.directories)

    def _mkdir(self, arguments: list[str], result: int) -> None:
        self._mkdirat(["AT_FDCWD", *arguments], result)

    def _unlinkat(self, arguments: list[str], result: int) -> None:
        if place := self._place(arguments[1], arguments[0]):
            self._change(Named(((*place, None),)))

    def _unlink(self, arguments: list[str], result: int) -> None:
        self._unlinkat(["AT_FDCWD", *arguments], result)

    _rmdir = _unlink

    def _renameat2(self, arguments: list[str], result: int) -> None:
        assert "RENAME_EXCHANGE" not in arguments[-1], "exchanging is not understood"
        begin = self._place(arguments[1], arguments[0])
        end = self._place(arguments[3], arguments[2])
        assert (begin is None) == (end is None), "a rename leads out of the directory"
        if begin is not None and end is not None:
            # the last one is the name that its fsync makes durable
            self._change(Named(((*begin, None), (*end, self._found(begin)))))

    _renameat = _renameat2

    def _rename(self, arguments: list[str], result: int) -> None:
        self._renameat2(["AT_FDCWD", arguments[0], "AT_FDCWD", arguments[1]], result)

    def _linkat(self, arguments: list[str], result: int) -> None:
        begin = self._place(arguments[1], arguments[0])
        end = self._place(arguments[3], arguments[2])
        if begin is not None and end is not None:
            self._change(Named(((*end, self._found(begin)),)))

    def _link(self, arguments: list[str], result: int) -> None:
        self._linkat(["AT_FDCWD", arguments[0], "AT_FDCWD", arguments[1]], result)

    # -- what may be there afterwards

    def after(self, call: int, survives: Survives) -> Disk:
        """What the disk holds when the power goes after a call.

        Args:
            survives: what becomes of a change that is not durable.
        """
        disk = self.before.copy()
        for number in self._now.directories:
            disk.directories.setdefault(number, {})  # what a directory is does not get lost
        for step in self.steps:
            if step.at > call:
                break
            change = step.change if step.durable <= call else survives(step.change)
            if change is not None:
                disk.apply(change)
        without_shared_memory(disk)
        return disk

    def final(self) -> Disk:
        """What the process left, for whoever does not lose power."""
        return self.after(self.ends[-1], lambda change: change)


Survives = Callable[[Change], Change | None]


def _owner(change: Change) -> int:
    """Whose fsync makes a change durable."""
    match change:
        case Written(file) | Resized(file):
            return file
        case Named(names):
            return names[-1][0]


def without_shared_memory(disk: Disk) -> None:
    """The index of SQLite's log is written through memory only, and made anew by who comes first."""
    for names in disk.directories.values():
        for name in [each for each in names if each.endswith("-shm")]:
            del names[name]


def ways(rng: random.Random) -> dict[str, Survives]:
    """What may become of changes that are not durable."""

    def some(change: Change) -> Change | None:
        return change if rng.random() < 0.5 else None

    def torn(change: Change) -> Change | None:
        if isinstance(change, Written) and rng.random() < 0.5:
            return Written(
                change.file, change.offset, change.data[: rng.randrange(len(change.data) + 1)]
            )
        return some(change)

    return {
        "all is lost": lambda change: None,
        "names are kept, data are lost": lambda change: (
            change if isinstance(change, Named) else None
        ),
        "data are kept, names are lost": lambda change: (
            None if isinstance(change, Named) else change
        ),
        "all is kept": lambda change: change,
        "some is kept": some,
        "some is torn": torn,
    }


def states(recording: Recording, count: int, seed: int) -> Iterable[tuple[str, Disk]]:
    """So many states, spread over the whole of a recording, each with its description."""
    rng = random.Random(seed)
    moments = sorted(set(recording.ends))
    for number in range(count):
        begin, end = (len(moments) * each // count for each in (number, number + 1))
        call = moments[rng.randrange(begin, max(end, begin + 1))]
        choice = ways(rng)
        way = [*choice][number % len(choice)]
        yield f"after call {call} (seed {seed}): {way}", recording.after(call, choice[way])
