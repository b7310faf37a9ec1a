"""`mask: {fields: [a], method: hash, key: S}`: takes what identifies people out of text fields;
null stays null.

hash: HMAC-SHA256 with a key, in hex: equal values stay equal, and nobody without the key can try
values. redact: `***`.
last4: all but the last four characters become `*`; text of up to eight characters becomes `*`
whole.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import ClassVar, Final, Literal

from pydantic import Field

from worker.config.effects import Effect
from worker.config.model import Model
from worker.config.secrets import Secret, secret_value
from worker.core.errors import ConfigError
from worker.transforms.kinds import INT, STR
from worker.transforms.program import Program
from worker.transforms.terms import lift

REMEMBERED: Final = 10_000


class Config(Model):
    """Take out what identifies people."""

    fields: tuple[str, ...] = Field(min_length=1, description="text fields to mask")
    method: Literal["hash", "redact", "last4"] = Field(
        "hash", description="HMAC-SHA256 in hex, `***`, or all but the last four characters"
    )
    key: Secret | None = Field(None, description="key of the hash")

    effects: ClassVar[tuple[Effect, ...]] = (
        Effect(
            "key",
            lambda mask: mask.method == "hash",
            "nothing is hashed",
            "it counts with method: hash",
        ),
    )

    def read_key(self) -> bytes:
        """The key of the hash, empty when there is none.

        Raises ConfigError for a reference that leads nowhere.
        """
        return b"" if self.key is None else secret_value(self.key, {}).encode()


class _Hashes(dict[str, str]):
    """text -> hex; values repeat, so some are remembered."""

    def __init__(self, key: bytes) -> None:
        super().__init__()
        self._key = key

    def __missing__(self, value: str) -> str:
        if len(self) >= REMEMBERED:
            self.clear()
        found = self[value] = hmac.digest(self._key, value.encode(), "sha256").hex()
        return found


def _last4(value: str) -> str:
    return "*" * len(value) if len(value) <= 8 else "*" * (len(value) - 4) + value[-4:]


def apply(program: Program, config: Config) -> None:
    """Raises ConfigError for a name that is no field, a field that is no text, or a missing key."""
    program.require(config.fields)
    masked = _masked(program, config)
    for name in config.fields:
        term = program.column(name)
        _refuse_enum(program, name, config.method)
        if term.kind != STR and not (term.kind == INT and config.method == "hash"):
            raise ConfigError(
                f"{name!r} is {term.kind}; {config.method} masks text",
                where=program.step,
                remedy="drop the field, or set it to str(...) first",
            )
        text = lift(program, [term], STR, lambda x: f"str({x})") if term.kind == INT else term
        program.assign(name, lift(program, [text], STR, masked))


def _refuse_enum(program: Program, name: str, method: str) -> None:
    """What is masked is no symbol: every record would be a reject."""
    field = next((field for field in program.output.root.fields if field.name == name), None)
    if field is not None and (kind := program.output.value_type(field.type)).kind == "enum":
        raise ConfigError(
            f"{name!r} is an enum in the output schema, and what {method} makes of it "
            f"is none of its symbols ({', '.join(kind.symbols)})",
            where=program.step,
            remedy="drop the field, or make it a string with output_schema",
        )


def _masked(program: Program, config: Config) -> Callable[[str], str]:
    if config.method == "redact":
        return lambda x: "'***'"
    if config.method == "last4":
        function = program.bind(_last4)
        return lambda x: f"{function}({x})"
    key = config.read_key()
    if not key:
        raise ConfigError(
            "mask by hash needs a key", where=program.step, remedy="give it: key: {env: MASK_KEY}"
        )
    hashes = program.bind(_Hashes(key))
    return lambda x: f"{hashes}[{x}]"
