"""Options of commands that read a URL without a config: pages, headers and credentials."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])


_OPTIONS: Final = (
    click.option(
        "--header",
        "headers",
        multiple=True,
        metavar="'NAME: S'",
        help="Header of the requests to a URL; may come several times. S is env:NAME, file:PATH or "
        "the value itself.",
    ),
    click.option("--bearer", metavar="S", help="Bearer token for a URL."),
    click.option("--basic", metavar="USER:S", help="User and password for a URL."),
    click.option(
        "--pagination",
        metavar="YAML",
        help="How a URL is paged, as in a config: '{type: page, param: page}'; default: "
        "'{type: link_header}', which follows the links of a Link header.",
    ),
)


def asking_options(command: Command) -> Command:
    """Adds the options to a command, whose function takes `headers`, `bearer`, `basic` and
    `pagination`.
    """
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def is_url(source: str) -> bool:
    """Whether an argument is a URL, and no file."""
    return source.startswith(("http://", "https://"))


def source_keys(
    headers: Sequence[str], bearer: str | None, basic: str | None, pagination: str | None
) -> dict[str, Any]:
    """What the options say, as keys of `source` in a config.

    Raises UsageError for what they cannot say.
    """
    keys: dict[str, Any] = {"pagination": _pagination(pagination)}
    credentials: list[dict[str, Any]] = []
    if bearer is not None:
        credentials.append({"type": "bearer", "token": _secret(bearer)})
    if basic is not None:
        user, colon, password = basic.partition(":")
        if not colon:
            raise click.UsageError("--basic needs USER:S, with a colon between the two")
        credentials.append({"type": "basic", "username": user, "password": _secret(password)})
    for name, value in map(_header, headers):
        secret = _secret(value)
        if isinstance(secret, str):
            keys.setdefault("headers", {})[name] = secret
        else:
            credentials.append({"type": "api_key", "in": "header", "name": name, "value": secret})
    if len(credentials) > 1:
        raise click.UsageError(
            "a URL takes one credential: --bearer, --basic, or one --header with env: or file:"
        )
    return keys | ({"auth": credentials[0]} if credentials else {})


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise click.UsageError(f"--header {name!r} needs 'NAME: S', with a colon between the two")
    return name.strip(), value.strip()


def _secret(text: str) -> str | dict[str, str]:
    """A secret as a config has it: a reference, or the value itself."""
    kind, _, rest = text.partition(":")
    return {kind: rest} if kind in ("env", "file") and rest else text


def _pagination(text: str | None) -> Any:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    if text is None:
        return {"type": "link_header"}
    try:
        found = YAML(typ="safe", pure=True).load(text)
    except YAMLError as error:
        raise click.UsageError(f"--pagination is no YAML: {error}") from error
    if not isinstance(found, dict):
        raise click.UsageError("--pagination needs a mapping, like '{type: page, param: page}'")
    return found
