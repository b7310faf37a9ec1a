"""A position in a form, where the requests have a JSON body."""

from cases.server import Answer, Ask


def answer(ask: Ask) -> Answer:
    return Answer([])
