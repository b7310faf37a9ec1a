"""CSV pages, each of which begins with the names of its columns."""

from cases.server import Answer, Ask

PAGES = {1: b'id,name\r\n1,Ann\r\n2,"B, C"\r\n', 2: b"id,name\r\n3,Dan\r\n", 3: b"id,name\r\n"}


def answer(ask: Ask) -> Answer:
    return Answer(PAGES[int(ask.query["page"])], headers={"Content-Type": "text/csv"})
