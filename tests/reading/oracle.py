"""What must become of a cell, by the rules for reading and by nothing that the worker computes.

Rule 1: what is read is exactly what the server has, wherever nothing is odd.
Rule 2: what cannot be right is a named error, and nothing wrong is committed before it.
Rule 3: rows may be lost, or come again, only where a position counts rows, rows come in or go while
        pages are read, and nothing in the config says or shows that they keep their places; and then
        the pass says that its completeness is unknown. A deletion that an insertion balances under a
        total that does not move is admitted by `assumed`. Two more are known by their config: rows
        of one value that share their key, and rows without a key behind a seam that did not hold.
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
            ("pagination_loop", _circles(cell)),
            ("total_mismatch", _promises_more(cell)),
        )
        if holds
    }
    possible = {
        code
        for code, holds in (
            ("key_not_unique", cell.key == "shared"),
            ("order_violation", _shows_older_rows(cell)),
            ("pagination_loop", _looks_like_a_circle(cell)),
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
    """Under which words for completeness rows may be lost, or come again.

    Rows of one value and one key are one row to an incremental reader, unless a page shows both.
    """
    if cell.key == "shared" and cell.incremental:
        return frozenset(["unknown"])
    style = cell.style
    if not style.shifts or cell.fault not in SHIFTS or style.stable:
        return frozenset()
    if style.seam:  # what is read again, because a seam did not hold, comes again without a key
        keyless = cell.key == "none" and not cell.incremental
        return frozenset(["unknown"] if keyless else [])
    balanced = cell.fault == "delete and insert" and cell.total in ("right", "remaining")
    return frozenset(["unknown", "assumed"] if balanced else ["unknown"])


def _circles(cell: Cell) -> bool:
    """Whether the server goes in circles, as far as a reader can see."""
    style = cell.style
    if style.windowed and cell.fault == "ignored" and cell.total == "shrinking":
        return False  # what is left of a window may be one page
    if style.family != "numbered":
        return cell.fault in ("ignored", "clamped")
    by_total = cell.total in ("right", "growing", "remaining", "shrinking")
    if cell.fault == "ignored":
        return not (style.windowed and by_total)  # a window of one page is at its end
    if cell.fault == "clamped":
        return not (style.repeated_page_ends or style.seam or by_total)
    if cell.total == "shrinking" and cell.order == "ascending":
        return False  # the pass begins again at its mark, behind the page that came twice
    # a page without news, and without keys to know it by, cannot be told from a circle
    return cell.key == "none" and cell.fault == "repeated" and not style.windowed


def _looks_like_a_circle(cell: Cell) -> bool:
    """Whether a page without news may be taken for a circle."""
    if cell.total == "too high" or cell.fault in ("ignored", "clamped"):
        return True
    if cell.style.windowed and cell.fault == "repeated" and cell.total != "absent":
        return True  # a total that counts rows twice is never reached
    if cell.style.family == "scroll":
        return cell.fault == "repeated"  # its pages are told apart by what is in them
    if cell.style.seam and cell.fault == "repeated":
        return True  # a page of two brings one record
    keyless = cell.key in ("none", "shared")
    shifted = cell.fault == "insert of a page" or (keyless and cell.fault in ("insert", "repeated"))
    return cell.style.family == "numbered" and shifted


def _promises_more(cell: Cell) -> bool:
    """Whether the source says that it has more than it has, and never says otherwise."""
    moves = cell.fault in ("insert", "insert of a page", "delete") or cell.style.windowed
    confused = cell.key == "shared" and cell.incremental  # rows that came are not told apart
    again = cell.style.seam and cell.fault in SHIFTS  # the total is that of several walks
    return cell.total == "too high" and not (moves or confused or again)


def _may_miss_total(cell: Cell) -> bool:
    """Whether fewer distinct rows may come than the source says all the time.

    A total that moves is never held against the rows.
    """
    if cell.total in ("absent", "-1"):
        return False
    twice = cell.fault == "repeated"  # the source counts rows that the reader knows
    balanced = cell.fault == "delete and insert" or (cell.fault, cell.total) in (
        ("insert", "shrinking"),
        ("delete", "growing"),
    )
    return twice or balanced or cell.key == "shared" or cell.total == "too high"


def _shows_older_rows(cell: Cell) -> bool:
    """Whether a shift shows an ascending reader rows below those that it has seen."""
    return cell.order == "ascending" and cell.style.shifts and cell.fault in SHIFTS
