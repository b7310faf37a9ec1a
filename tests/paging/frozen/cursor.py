from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

import msgspec

from worker.core.cursor import CURSOR_LIMIT_BYTES, CURSOR_VERSION, Json
from worker.core.errors import StateError


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a partition resumes.

    Attributes:
        pass_no: number of the pass in progress, from 1.
        position: JSON: `{"since": bound of this pass, "at": position of the pagination style, "window": where there are any}`; None at the start
            of a pass.
        mark: how far the source has durably come (comparable form: int for instants and numbers, str for strings).
        snapshot_mark: highest incremental value received in this pass.
        received: records received in this pass.
        total: what the server said it has, in this pass.
        validators: conditional request validators.
        complete: a source read once has been read.
    """

    pass_no: int = 1
    position: Json = None
    mark: int | str | None = None
    snapshot_mark: int | str | None = None
    received: int = 0
    total: int | None = None
    validators: Json = None
    complete: bool = False

    def to_json(self) -> str:
        fields = asdict(self)
        document = {"v": CURSOR_VERSION, "pass": fields.pop("pass_no"), **fields}
        text = msgspec.json.encode(document)
        if len(text) > CURSOR_LIMIT_BYTES:
            raise StateError(
                f"cursor of {len(text)} bytes, at most {CURSOR_LIMIT_BYTES} are allowed",
                remedy="the source's page token is too large to keep",
            )
        return text.decode()

    @classmethod
    def from_json(cls, text: str) -> Cursor:
        document = msgspec.json.decode(text)
        version = document.pop("v", None)
        if version != CURSOR_VERSION:
            raise StateError(
                f"cursor has version {version!r}, this program knows {CURSOR_VERSION}",
                remedy="run the version that wrote the state, or newer",
            )
        document["pass_no"] = document.pop("pass")
        return cls(**document)

    def evolve(self, **changes: Any) -> Cursor:
        return replace(self, **changes)
