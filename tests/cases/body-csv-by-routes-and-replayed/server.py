"""CSV by offset into directories by day; rows that did not fit are replayed after the schema allows them."""

from cases.server import Answer, Ask

ROWS = ["1,2024-01-01,5", "2,2024-01-01,n/a", "3,2024-01-02,7"]


def answer(ask: Ask) -> Answer:
    at = int(ask.query["offset"])
    text = "\n".join(["id,day,count", *ROWS[at : at + 2], ""])
    return Answer(text.encode(), headers={"X-Total": "3"})
