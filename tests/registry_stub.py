"""A schema registry on a free port: what the product asks of one, with outages by hand."""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from aiohttp import web
from avro_kit import serving


@dataclass
class Stub:
    """What it holds and what it saw.

    Attributes:
        subjects: subject -> its versions, each (id, schema text, references, type).
        asked: method and path of every request.
        down: answers 503; `failures`: as often as that, then no more.   authorization: what is demanded.   answer: body for every request, instead of what is right.
        refuses: why a new version is not compatible.   refuses_new: status and message for one that the registry would not take anyway.
    """

    url: str = ""
    subjects: dict[str, list[tuple[int, str, list[dict[str, Any]], str]]] = field(
        default_factory=dict
    )
    asked: list[str] = field(default_factory=list)
    down: bool = False
    failures: int = 0
    authorization: str = ""
    answer: bytes | None = None
    refuses: list[str] = field(default_factory=list)
    refuses_new: tuple[int, str] | None = None

    def add(
        self,
        subject: str,
        schema: Any,
        *,
        references: list[dict[str, Any]] | None = None,
        kind: str = "AVRO",
    ) -> int:
        """Registers a version; its id."""
        number = 1 + sum(map(len, self.subjects.values()))
        self.subjects.setdefault(subject, []).append(
            (
                number,
                schema if isinstance(schema, str) else json.dumps(schema),
                references or [],
                kind,
            )
        )
        return number

    async def handle(self, request: web.Request) -> web.Response:
        self.asked.append(f"{request.method} {request.rel_url.raw_path}")
        self.failures -= 1
        if self.down or self.failures >= 0:
            return web.json_response({"error_code": 50001}, status=503)
        if self.authorization and request.headers.get("Authorization") != self.authorization:
            return web.json_response({"error_code": 401}, status=401)
        if self.answer is not None:
            return web.Response(body=self.answer)
        if request.method == "POST":
            return self.post(request.rel_url.raw_path, json.loads(await request.read()))
        found = self.find(
            [unquote(part) for part in request.rel_url.raw_path.removeprefix("/sr/").split("/")]
        )
        return (
            web.json_response({"error_code": 40403}, status=404)
            if found is None
            else web.json_response(found)
        )

    def post(self, path: str, body: dict[str, Any]) -> web.Response:
        match [unquote(part) for part in path.removeprefix("/sr/").split("/")]:
            case ["compatibility", "subjects", subject, "versions", "latest"]:
                if subject not in self.subjects:
                    return web.json_response({"error_code": 40401}, status=404)
                return web.json_response(
                    {"is_compatible": not self.refuses, "messages": self.refuses}
                )
            case ["subjects", _, "versions"] if self.refuses_new is not None:
                status, message = self.refuses_new
                return web.json_response({"error_code": status, "message": message}, status=status)
            case ["subjects", subject, "versions"]:
                known = [
                    each for each in self.subjects.get(subject, []) if each[1] == body["schema"]
                ]
                return web.json_response(
                    {"id": known[0][0] if known else self.add(subject, body["schema"])}
                )
        return web.json_response({}, status=404)

    def find(self, parts: list[str]) -> dict[str, Any] | None:
        match parts:
            case ["schemas", "ids", number]:
                for versions in self.subjects.values():
                    for each in versions:
                        if each[0] == int(number):
                            return shown(each)
            case ["subjects", subject, "versions", number] if subject in self.subjects:
                versions = self.subjects[subject]
                place = len(versions) if number == "latest" else int(number)
                if place <= len(versions):
                    return {**shown(versions[place - 1]), "subject": subject, "version": place}
        return None


def shown(each: tuple[int, str, list[dict[str, Any]], str]) -> dict[str, Any]:
    number, text, references, kind = each
    return {
        "id": number,
        "schema": text,
        **({"references": references} if references else {}),
        **({"schemaType": kind} if kind != "AVRO" else {}),
    }


@asynccontextmanager
async def registry(tls: ssl.SSLContext | None = None) -> AsyncIterator[Stub]:
    stub = Stub()
    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", stub.handle)
    async with serving(app, tls) as url:
        stub.url = f"{url}/sr"
        yield stub
