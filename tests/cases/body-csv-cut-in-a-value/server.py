"""CSV that breaks off within quotes."""

from cases.server import Answer, Ask


def answer(ask: Ask) -> Answer:
    return Answer(b'id,name\n1,a\n2,"b')
