"""What a format is made of.

Its module (see `FORMATS` in worker/components.py) has a half for each direction, or one of them:

decode  `Decode`, the keys under `decode`, based on `DecodeConfig`; and `pages(config, deps) ->
        Pages`
encode  `CODECS`, the compressions of files with the default first, and `EXTENSIONS` of their names;
        `rows(schema, bytes_as) -> RowEncoder`, which writes the row of a record;
        `encoder(schema, codec, metadata) -> Encoder`, which puts a file together;
        and `rows_in(path) -> int`, which counts the records of a file for `verify`
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Literal, Protocol, Self

from pydantic import AfterValidator, Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, PydanticKnownError, core_schema

from worker.components import FORMATS
from worker.config.model import Model, unfit
from worker.core.errors import ConfigError
from worker.http.body_form import AS_IT_COMES, AUTO, COMPRESSIONS, BodyForm, codec_of
from worker.http.registry_config import RegistryConfig
from worker.schema.spellings import AS_USUAL, Spellings

if TYPE_CHECKING:
    from worker.formats.records import PageSpec
    from worker.formats.writers import WriterSchemas
    from worker.schema import CompiledPlan

BOM: Final = b"\xef\xbb\xbf"

# -- decode ----------------------------------------------------------------------------------------


class DecodeConfig(Model):
    """Base of the keys under `decode`: what the rest of the worker must know of a format."""

    type: str = Field(description="format of a page")
    compression: Literal["auto", "none", "gzip", "zip", "zstd", "bzip2"] = Field(
        AUTO,
        description=(
            "how bodies are compressed by themselves, beside their Content-Encoding; auto: as "
            "their first bytes say; of a zip the only file is read; a body that is not compressed "
            "is read as it is"
        ),
    )

    one_record: ClassVar[str] = ""
    """What one record is where that needs no path, so that `source.records` has no meaning."""
    resolves: ClassVar[bool] = False
    """Bodies have a schema of their own; their fields that ours lacks are skipped unread."""

    spelled: ClassVar[bool] = False
    """Values are written in the words of the source, as `spellings` says."""

    @property
    def spellings(self) -> Spellings:
        """How the source writes what the format has no form for."""
        return AS_USUAL

    @property
    def configured(self) -> Spellings:
        """What the config says of it, without what the format implies."""
        return self.spellings

    def guessed(self, record: bytes) -> bytes:
        """The JSON of a record for whoever proposes a schema, with the types that its values most
        likely have."""
        return record

    @property
    def unspelled(self) -> Self:
        """The same without what is said of single fields, for a schema that has none yet."""
        return self

    @property
    def needs_first_page(self) -> bool:
        """Whether the first page of a pass says how the others are read (see `HeadedPages`)."""
        return False

    @property
    def form(self) -> BodyForm:
        """What bodies are written in."""
        if self.compression == "none":
            return AS_IT_COMES
        named = COMPRESSIONS if self.compression == AUTO else (self.compression,)
        return BodyForm(frozenset(named))

    def json_of(self, body: bytes) -> bytes:
        """The JSON of a body, without what stands before it."""
        return body.removeprefix(BOM)

    @property
    def tagged(self) -> bool:
        """Values of unions name their branch, as the JSON encoding of Avro writes them."""
        return False

    @property
    def schema_registry(self) -> RegistryConfig | None:
        """Where the schemas of writers are that bodies name by an id."""
        return None

    @property
    def settled(self) -> Mapping[str, tuple[tuple[str, ...], str]]:
        """Keys of `validation` that the format decides.

        Each with the values that have a meaning, and what is wrong with others.
        """
        return {}


def _charset(name: str) -> str:
    if name != AUTO and not codec_of(name):
        raise unfit(
            f"{name!r} is the name of no character set",
            allowed="auto, and names like utf-8, windows-1252, iso-8859-15, utf-16 and shift_jis "
            "are allowed",
            remedy="write the name that the source documents, or take it out",
        )
    return name


class TextDecodeConfig(DecodeConfig):
    """Base of the keys of formats that are text. Decoders get all of it in UTF-8."""

    charset: Annotated[str, AfterValidator(_charset)] = Field(
        AUTO,
        description=(
            "character set of bodies; auto: as a byte order mark, Content-Type or an XML "
            "declaration says, else UTF-8"
        ),
    )

    @property
    def form(self) -> BodyForm:
        compressions = super().form.compressions
        return BodyForm(compressions, charset=self.charset)


@dataclass(frozen=True, slots=True)
class DecodeDeps:
    """What a decoder is made of, besides its keys.

    Attributes:
        spec: what to take out of a page.
        plan: the compiled schema of the pipeline.
        bytes_as: how bytes are written in JSON: latin1 or base64.
        body_bytes: what a body may inflate to.   ratio: and how many times its size that may be.
        writers: where a decoder looks for schemas by id; one that is missing is fetched, and the
            page decoded again.
    """

    spec: PageSpec
    plan: CompiledPlan
    bytes_as: str
    body_bytes: int
    ratio: float
    writers: WriterSchemas


# -- encode ----------------------------------------------------------------------------------------


class Encoder(Protocol):
    """How one file of a format is put together.

    Attributes:
        ext: the extension of the file's name.
    """

    ext: str

    def header(self) -> bytes:
        """The beginning of the file."""

    def block(self, rows: int, data: bytes) -> bytes:
        """A part of the file, from encoded rows. It compresses: call it off the event loop."""

    def footer(self) -> bytes:
        """The end of the file, after the last block."""


def codecs_of(name: Any) -> tuple[str, ...]:
    """The compressions of files of a format, the default first.

    None where there is no such format, or it is only read. Raises ConfigError for a package that
    cannot be imported.
    """
    return getattr(FORMATS.load(name), "CODECS", ()) if FORMATS.has(name) else ()


def file_formats() -> dict[str, tuple[str, ...]]:
    """Every format that files can have, with its compressions. Raises ConfigError."""
    return {name: codecs for name in FORMATS.names() if (codecs := codecs_of(name))}


def rows_in(path: Path) -> int:
    """The records of a published file, whose name says what format it has.

    Raises WorkerError for a file that is damaged, or whose format is not known any more.
    """
    for name in FORMATS.names():
        module = FORMATS.load(name)
        if path.name.endswith(tuple(f".{each}" for each in getattr(module, "EXTENSIONS", ()))):
            rows: int = module.rows_in(path)
            return rows
    raise ConfigError(
        f"no format has files like {path.name}",
        remedy="install the package that wrote it again",
    )


class FileFormat:
    """Marks text that is the name of a format that files can have."""

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._known, handler(source))

    def _known(self, name: str) -> str:
        try:
            if codecs_of(name):
                return name
            allowed = ", ".join(map(repr, file_formats()))
        except ConfigError as error:
            raise ValueError(f"{error.message}; {error.remedy}") from error
        raise PydanticKnownError("literal_error", {"expected": allowed})

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {"enum": list(file_formats()), "type": "string"}


class FileCodec:
    """Marks text that is a compression of files; which ones there are depends on their format.

    `codec: null` is null in YAML.
    """

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_before_validator_function(
            lambda value: "null" if value is None else value, handler(source)
        )

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        codecs = dict.fromkeys(codec for each in file_formats().values() for codec in each)
        return {"enum": [each for codec in codecs for each in _spellings(codec)]}


def _spellings(codec: str) -> tuple[str | None, ...]:
    return (codec, None) if codec == "null" else (codec,)
