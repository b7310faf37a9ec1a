"""A JSON text sequence in which one text was cut by another."""

from cases.server import Answer, Ask


def answer(ask: Ask) -> Answer:
    return Answer(b'\x1e{"id": 1}\n\x1e{"id": \x1e{"id": 3}\n')
