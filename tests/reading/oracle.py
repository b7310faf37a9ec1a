"""What must become of a cell, by the rules for reading and by nothing that the worker computes.

Rule 1: what is read is exactly what the server has, wherever nothing is odd.
Rule 2: what cannot be right is a named error, and nothing wrong is committed before it.
Rule 3: rows may be lost, or come again, only where a position counts rows, rows come in or go while
        pages are read, and nothing in the config says or shows that they keep their places; and then
        the pass says that its completeness is unknown. A deletion that an insertion balances under a
        total that does not move is admitted by `assumed`.
"""

from __future__ import annotations

from dataclasses import dataclass

from reading.cells import SHIFTS, Cell, Outcome


@dataclass(frozen=True)
class Expected:
    """What is right for a cell.

    Attributes:
        exact: what is read may be exactly what the server has.
        errors: codes of the errors that are right.
        admits: the words for completeness under which rows may be lost or come again.
    """

    exact: bool
    errors: frozenset[str]
    admits: frozenset[str]

    def refuses(self, outcome: Outcome) -> str:
        """Why the outcome is wrong; empty where it is right."""
        if outcome.invented:
            return "records that the server never had"
        if outcome.error:
            if outcome.again and not self.admits:
                return "records came again before the error"
            return "" if outcome.error in self.errors else "an error that is none of these"
        if outcome.lost or outcome.again:
            return "" if outcome.completeness in self.admits else "not admitted"
        return "" if self.exact else "this has to be an error"


def expected(cell: Cell) -> Expected:
    """What is right for a cell that can exist."""
    needed = {
        code
        for code, holds in (
            ("key_missing", cell.key in ("wrong", "null")),
            ("key_not_unique", cell.key == "shared" and not cell.incremental),
            ("order_violation", cell.order == "undeclared"),
            ("pagination_loop", _loops(cell)),
            ("total_mismatch", _misses_total(cell)),
        )
        if holds
    }
    possible = {
        code
        for code, holds in (
            ("key_not_unique", cell.key == "shared"),
            ("order_violation", _may_fall_back_in_order(cell)),
            ("pagination_loop", _may_loop(cell) or "total_mismatch" in needed),
            ("total_mismatch", _may_miss_total(cell)),
        )
        if holds
    }
    return Expected(
        exact=not needed,
        errors=frozenset(needed | possible),
        admits=frozenset() if needed else admitted(cell),
    )


def admitted(cell: Cell) -> frozenset[str]:
    """Under which words for completeness rows may be lost, or come again."""
    style = cell.style
    if not style.shifts or cell.fault not in SHIFTS or style.seam or style.stable:
        return frozenset()
    balanced = cell.fault == "delete and insert" and cell.total in ("right", "remaining")
    return frozenset(["unknown", "assumed"] if balanced else ["unknown"])


def _loops(cell: Cell) -> bool:
    """Whether the server goes in circles, as far as a reader can see."""
    style, keyless = cell.style, cell.key == "none"
    numbered = style.family == "numbered"
    if cell.fault == "ignored":
        return True
    if cell.fault == "clamped":
        return not numbered or not (style.repeated_page_ends or _ends_by_total(cell))
    # a page without news and without keys to know it by cannot be told from a circle
    return numbered and keyless and cell.fault == "repeated"


def _may_loop(cell: Cell) -> bool:
    """Whether a page without news may be taken for a circle."""
    if cell.fault == "clamped":
        return True
    return cell.style.family == "numbered" and cell.fault == "insert of a page"


def _ends_by_total(cell: Cell) -> bool:
    """Whether nobody asks behind the end, since a total says where it is."""
    return cell.total in ("right", "growing", "remaining", "shrinking")


def _misses_total(cell: Cell) -> bool:
    """Whether the source says that it has more than it has, and never says otherwise."""
    if cell.total == "too low":
        return cell.style.windowed  # there are windows without rows
    return cell.total == "too high" and (cell.style.windowed or not _moves_total(cell))


def _may_miss_total(cell: Cell) -> bool:
    """Whether fewer distinct rows may come than the source said at last."""
    return cell.fault in SHIFTS and cell.total != "absent" and cell.total != "-1"


def _moves_total(cell: Cell) -> bool:
    return cell.fault in ("insert", "insert of a page", "delete")


def _may_fall_back_in_order(cell: Cell) -> bool:
    """Whether a shift shows an ascending reader rows below those that it has seen."""
    return cell.order == "ascending" and cell.style.shifts and cell.fault in SHIFTS
