"""Pages of one source that are compressed in different ways, with line breaks behind them, and one twice."""

import bz2
import gzip

from cases.server import Answer, Ask

PAGES = {
    1: (gzip.compress(b'[{"id": 1}]') + b"\r\n", {}),
    2: (gzip.compress(gzip.compress(b'[{"id": 2}]')), {"Content-Encoding": "gzip"}),
    3: (bz2.compress(b'[{"id": 3}]'), {"Content-Encoding": "binary"}),
    4: (b'[{"id": 4}]', {"Content-Encoding": "utf-8, identity"}),
    5: (gzip.compress(b"[") + gzip.compress(b'{"id": 5}]'), {"Content-Type": "application/gzip"}),
}


def answer(ask: Ask) -> Answer:
    body, headers = PAGES.get(int(ask.query["page"]), (b"[]", {}))
    return Answer(body, headers=headers)
