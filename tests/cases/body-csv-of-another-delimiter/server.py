"""CSV with semicolons, read with commas: it has no column of the schema."""

from cases.server import Answer, Ask


def answer(ask: Ask) -> Answer:
    return Answer(b"id;name\n1;a\n")
