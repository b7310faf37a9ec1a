"""What is wrong with a config: the place, what was found, what is allowed, what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from worker.core.errors import ConfigError

Path_ = tuple[str | int, ...]


def shown(path: Path_) -> str:
    """A key path as people write it."""
    return (
        "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")
        or "(root)"
    )


@dataclass(frozen=True, slots=True)
class Place:
    """A place in a config.

    `line` is 1-based, 0 when there is none; `key` is a key path, or an environment variable.
    """

    file: str
    line: int = 0
    key: str = ""

    def __str__(self) -> str:
        at = f"{self.file}:{self.line}" if self.line else self.file
        return f"{at}: {self.key}" if self.key else at


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        code: stable: yaml, file, unknown_key, missing_key, wrong_type, not_allowed, conflict,
            environment, schema, secret, path, pipeline.
        found: what is wrong, with the value found, unless it may be a secret.
        allowed: what would be right.   remedy: what to do.
    """

    code: str
    place: Place
    found: str
    allowed: str = ""
    remedy: str = ""

    def __str__(self) -> str:
        hints = self.hints
        return f"{self.place}: {self.found}" + (f" ({hints})" if hints else "")

    @property
    def hints(self) -> str:
        """What is allowed and what to do; a near miss first."""
        return "; ".join(
            each
            for each in sorted(
                (self.allowed, self.remedy), key=lambda text: not text.startswith("did you mean")
            )
            if each
        )

    def to_json(self) -> dict[str, Any]:
        document = asdict(self)
        place = document.pop("place")
        return {"code": document.pop("code"), **place, **document}


def in_order(problems: Iterable[Problem], files: Iterable[Any]) -> tuple[Problem, ...]:
    """Each once; those of a file by line, files in the order given, then others."""
    every = tuple(dict.fromkeys(problems))
    order = {
        str(file): number
        for number, file in reversed(
            list(enumerate((*files, *(each.place.file for each in every))))
        )
    }
    return tuple(sorted(every, key=lambda each: (order[each.place.file], each.place.line)))


class ConfigProblems(ConfigError):
    """The configuration is wrong in the places listed."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems: Sequence[Problem] = tuple(problems)
        if len(self.problems) == 1:
            only = self.problems[0]
            super().__init__(only.found, where=str(only.place), remedy=only.hints)
        else:
            super().__init__("\n".join(map(str, self.problems)))


def did_you_mean(name: Any, known: Iterable[str]) -> str:
    """`did you mean 'x'?`, or nothing."""
    names = list(known)
    lower = {each.lower(): each for each in names}
    close = difflib.get_close_matches(str(name).lower(), lower, 1)
    return f"did you mean {lower[close[0]]!r}?" if close else ""


def near_miss(name: str, known: Iterable[str]) -> str:
    """The known name that was nearly written; empty for none.

    They differ in case, or in `_`, `-`, dots and spaces within them, or by one slip in a name of
    four letters or more: a letter too many, too few, another one, or two exchanged. An underscore
    in front and digits tell names apart that are meant to differ.
    """
    names = list(known)
    same = (each for each in names if _letters(each) == _letters(name))
    slips = (each for each in names if min(len(each), len(name)) >= 4 and _one_slip(each, name))
    return next(same, "") or next(slips, "")


def _letters(name: str) -> str:
    inner = "".join(char for char in name[1:].casefold() if char not in "_-. ")
    return name[:1].casefold() + inner


def _one_slip(one: str, other: str) -> bool:
    """Whether one edit makes a text of the other (Damerau)."""
    if one.lstrip("_") == other.lstrip("_"):
        return False
    start = _alike(one, other)
    one, other = one[start:], other[start:]
    end = _alike(one[::-1], other[::-1])
    one, other = one[: len(one) - end], other[: len(other) - end]
    if any(char.isdigit() for char in one + other):
        return False
    exchanged = len(one) == 2 and one == other[::-1]
    return exchanged or (len(one) <= 1 and len(other) <= 1)


def _alike(one: str, other: str) -> int:
    """How many characters two texts have in common at their beginning."""
    pairs = enumerate(zip(one, other, strict=False))
    shorter = min(len(one), len(other))
    return next((number for number, (mine, theirs) in pairs if mine != theirs), shorter)


def listed(names: Iterable[str]) -> str:
    """`allowed are a, b, c`; long lists are cut."""
    every = list(names)
    more = f" and {len(every) - 40} more" if len(every) > 40 else ""
    return f"allowed are {', '.join(every[:40])}{more}"
