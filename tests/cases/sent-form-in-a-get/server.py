"""A form without method POST."""

from cases.server import Answer, Ask


def answer(ask: Ask) -> Answer:
    return Answer([])
