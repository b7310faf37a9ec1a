"""JSON values one behind the other, of which the last one breaks off."""

from cases.server import Answer, Ask


def answer(ask: Ask) -> Answer:
    return Answer(b'{"id": 1}{"id": 2')
