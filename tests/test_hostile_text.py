"""What a server says is read in a time that grows with its length, and no faster: no text of a few
kilobytes holds the event loop.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import Any, Final

import pytest

from worker.core.errors import WorkerError
from worker.core.model import Facts
from worker.core.written_times import JSON_DATE, USUAL, time_reader
from worker.formats.json_depth import nesting
from worker.formats.json_split import outline, split_array, split_values
from worker.formats.weight import XmlWeight
from worker.formats.xml import declared_charset
from worker.http.body_form import AUTO, BodyForm
from worker.http.redact import redact, url_stripper
from worker.http.retry_after import wait_asked_for
from worker.http.source_clock import answered_us
from worker.runtime.slices import at_once
from worker.runtime.streams import harmless
from worker.sources.pagination import link_header
from worker.sources.pagination.common import resolve
from worker.telemetry.logs import redact_urls

SIZE: Final = 20_000
"""More than a header may have, and a third of a token of a page."""
MOST_S: Final = 1.0
"""Each takes a tenth of that at most; what backtracks takes minutes."""
LINKS: Final = link_header.build(link_header.Config.model_validate({"type": "link_header"}))

READERS: dict[str, Callable[[str], Any]] = {
    "secrets in a text that is logged": redact_urls,
    "a text that is shown": harmless,
    "a text that may echo a credential": lambda text: redact(text, ["k3y-of-mine"]),
    "credentials in a link": url_stripper(("key", "api_key")),
    "a link": lambda text: resolve("http://h.example/a", text),
    "a Link header": lambda text: LINKS.after(None, Facts(0), {"Link": text}),
    "a time to wait": lambda text: wait_asked_for(
        {"Retry-After": text, "RateLimit": text, "X-RateLimit-Reset": text},
        now_s=0.0,
        max_s=60.0,
        limited=True,
    ),
    "a date of a server": lambda text: answered_us({"Date": text, "Age": text}),
    "a time": time_reader(USUAL),
    "a time of a pattern": time_reader("%d.%m.%Y %H:%M:%S"),
    "a date of JSON": time_reader(JSON_DATE),
    "the depth of a body": lambda text: nesting(text.encode()),
    "the outline of a body": lambda text: outline(text.encode()),
    "the slices of a body": lambda text: at_once(
        split_array(b'{"items": [{"a": ' + text.encode(), ("items",))
    ),
    "the values of a stream": lambda text: at_once(split_values(text.encode(), 0)),
    "a declaration of XML": lambda text: declared_charset(b"<?xml " + text.encode()),
    "a type of content": lambda text: BodyForm(charset=AUTO).charset_of(b"a", f"text/csv; {text}"),
    "the weight of XML": lambda text: XmlWeight(Any)(text.encode()),
}
PIECES: Final = (
    *(
        "?key",
        "key",
        "?key=",
        "?a=&",
        "//",
        "//a@",
        "//a",
        "%7",
        "%41",
        "\\u0041",
        "\\",
        '"',
        '\\"',
    ),
    *(
        "<",
        "<a>;",
        "<a>; rel=",
        '<a>; rel="next',
        ";a",
        "; ",
        ",",
        " ",
        "\t\n",
        "0",
        "1.",
        "+00:00",
    ),
    *("[", "{", "[]", '{"a":', "2024-01-01T", "Mon, 01 ", "/Date(", "{?a", "{?a,", "k3y-of-min"),
)


@pytest.mark.parametrize("reader", READERS)
def test_no_text_holds_the_event_loop(reader: str) -> None:
    for piece in PIECES:
        text = (piece * (SIZE // len(piece) + 1))[:SIZE]
        for said in (text, f"http://h.example/?{text}", f'"{text}', f"{text}!"):
            began = time.process_time()
            with contextlib.suppress(WorkerError, ValueError):
                READERS[reader](said)
            assert time.process_time() - began < MOST_S, (piece, said[:40])
