"""What a dead letter keeps of a record: `dead_letters.keep`. Pure.

`raw` keeps the record as it was received, which a replay needs. `masked` hides the fields that the
pipeline masks, and keeps nothing of a record in which they cannot be found. `errors` keeps where
the record was and why it was rejected. What was not kept whole can never be replayed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

import msgspec

from worker.core.dead_letter import DeadLetter, Rejection, dead_letter_line, is_body
from worker.core.model import FieldError, Reject
from worker.schema.model import Field
from worker.schema.stored import shown

Keep = Literal["raw", "masked", "errors"]
MASKED: Final = msgspec.Raw(b'"***"')
NOT_KEPT: Final = "a value that is not kept"
_OBJECT: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])


@dataclass(frozen=True, slots=True)
class Hidden:
    """What must not be kept of a record.

    Attributes:
        names: fields, under all names that a source may give them.
        known: the fields of the schema; None: a field that it lacks may be kept.
        everything: nobody knows which fields they are.
    """

    names: frozenset[str] = frozenset()
    known: frozenset[str] | None = None
    everything: bool = False

    @classmethod
    def of(cls, masked: frozenset[str] | None, fields: Sequence[Field], rest: str = "") -> Hidden:
        """Of the fields that are masked, by their names in the schema; None: nobody knows them.

        Args:
            rest: the field that keeps what the schema lacks, where there is one.
        """
        if masked is None:
            return cls(everything=True)
        found = [field for field in fields if field.name in masked]
        names = (name for each in found for name in (each.name, each.json_name, *each.aliases))
        known = frozenset(each.json_name for each in fields if each.name != rest)
        return cls(frozenset(names), known if rest in masked else None)

    def hides(self, name: str) -> bool:
        """Whether the value of a field must not be kept."""
        return name in self.names or (self.known is not None and name not in self.known)

    def is_in(self, path: str) -> bool:
        """Whether an error at a path is about such a field."""
        if any(_is_of(path, name) for name in self.names):
            return True
        known = self.known
        return (
            known is not None
            and path.startswith("$.")
            and not any(_is_of(path, name) for name in known)
        )


@dataclass(frozen=True, slots=True)
class LetterLine:
    """Makes the lines of rejects; see `worker.writer.DeadLetterLine`.

    Attributes:
        names: the fields of the schema in JSON, which the place of an error may name.
    """

    keep: Keep = "raw"
    hidden: Hidden = Hidden()
    names: frozenset[str] = frozenset()

    def __call__(self, reject: Reject, of: Rejection) -> bytes:
        """The line of a reject, newline included.

        A dead letter that was not kept whole stays as it is, but for the commit that it is in.
        """
        if reject.letter:
            return self._again(DeadLetter.from_line(reject.letter), of.seq)
        reduced, kept = self._reduced(reject)
        return dead_letter_line(reduced, of, kept=kept)

    def _again(self, letter: DeadLetter, seq: int) -> bytes:
        if self.keep == "errors":
            letter = letter.without_record()
        return msgspec.json.encode(msgspec.structs.replace(letter, seq=seq)) + b"\n"

    def _reduced(self, reject: Reject) -> tuple[Reject, Literal["", "masked", "errors"]]:
        """What is kept of a reject, and in which way; empty for all of it."""
        if self.keep == "raw":
            return reject, ""
        if self.keep == "masked" and not (self.hidden.everything or is_body(reject)):
            errors = tuple(map(self._without_value, reject.errors))
            if (record := self._masked(reject.raw)) is not None:
                whole = record == reject.raw and errors == reject.errors
                return replace(reject, raw=record, errors=errors), "" if whole else "masked"
        return replace(reject, raw=b"", errors=tuple(map(self._place, reject.errors))), "errors"

    def _masked(self, raw: bytes) -> bytes | None:
        """A record with `***` in place of what is hidden; None where it is no JSON object."""
        try:
            record = _OBJECT.decode(shown(raw))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        masked = {
            name: MASKED
            for name, value in record.items()
            if self.hidden.hides(name) and bytes(value) != b"null"
        }
        return msgspec.json.encode(record | masked) if masked else raw

    def _without_value(self, error: FieldError) -> FieldError:
        return self._place(error) if self.hidden.is_in(error.path) else error

    def _place(self, error: FieldError) -> FieldError:
        """An error without what was found, and with no more of its path than the schema has: keys
        of maps are data."""
        found = max((name for name in self.names if _is_of(error.path, name)), key=len, default="")
        return FieldError(f"$.{found}" if found else "$", NOT_KEPT, error.allowed)


def _is_of(path: str, name: str) -> bool:
    """Whether a path like `$.a.b[3]` leads to a field, or into it."""
    field = f"$.{name}"
    return path.startswith(field) and path[len(field) : len(field) + 1] in ("", ".", "[")
