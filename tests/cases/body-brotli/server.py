"""A body in br, which was asked for, with white space behind it."""

import brotli
from cases.server import Answer, Ask


def answer(ask: Ask) -> Answer:
    asked = ask.headers["Accept-Encoding"].split(", ")
    if "br" not in asked:
        return Answer({"error": asked}, 406)
    return Answer(brotli.compress(b'[{"id": 1}]') + b"\n", headers={"Content-Encoding": "br"})
