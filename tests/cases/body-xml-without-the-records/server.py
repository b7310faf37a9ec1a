"""An XML error in place of the page, with status 200."""

from cases.server import Answer, Ask


def answer(ask: Ask) -> Answer:
    return Answer(b"<r><error>quota</error></r>")
