"""What can be wrong: an invalid schema, and Avro data that breaks its schema or its file format."""

from __future__ import annotations

from worker.core.errors import ConfigError, Exit, WorkerError


class SchemaError(ConfigError):
    """The schema breaks the Avro specification, or cannot be used here.

    Args:
        path: where in the schema, like `$.fields[2].type`.
    """

    code = "schema"

    def __init__(self, path: str, message: str, *, remedy: str = "", where: str = "") -> None:
        super().__init__(f"{path}: {message}", remedy=remedy, where=where)
        self.path = path


class CorruptData(WorkerError):
    """The bytes are not Avro data of their schema.

    All errors that data can cause in a reader belong to this family.
    """

    exit = Exit.DATA
    code = "corrupt_data"


class CorruptDatum(CorruptData):
    """The datum breaks its schema or a limit.

    Attributes:
        path: where in the datum, like `$.items[3].name`.
        offset: bytes from the start of the data to the damage; to the datum, when it is valid and
            has no value in the reader's schema.
        reason: what was found and what is allowed.
        record: the index of the datum among those that were asked for.
    """

    code = "corrupt_datum"

    def __init__(
        self, path: str, offset: int, reason: str, *, record: int = 0, where: str = ""
    ) -> None:
        super().__init__(f"{path} at byte {offset}: {reason}", where=where)
        self.path, self.offset, self.reason, self.record = path, offset, reason, record


class CorruptContainer(CorruptData):
    """The file is not an intact Avro container.

    Attributes:
        block: the number of the block, from 1; 0 is the header.
        offset: bytes from the start of the file to the block, or to the damage in the header.
        record: the index of the record in its block; None when the block itself is damaged.
        path: where in that record the damage is.
    """

    code = "corrupt_container"

    def __init__(
        self,
        message: str,
        *,
        where: str = "",
        block: int = 0,
        offset: int = 0,
        record: int | None = None,
        path: str = "",
    ) -> None:
        super().__init__(message, where=where)
        self.block, self.offset, self.record, self.path = block, offset, record, path
