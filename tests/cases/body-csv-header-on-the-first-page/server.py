"""An export in parts: only the first one has the names of the columns, and a run ends between two parts."""

from cases.server import Answer, Ask

PARTS = {"": b"name,id\nAnn,1\n", "b": b"Bob,2\nCid,3\n", "c": b"Dan,4\n"}
NEXT = {"": "b", "b": "c", "c": "null"}


def answer(ask: Ask) -> Answer:
    at = ask.query.get("locator", "")
    if at == "c" and ask.run == 1:
        return Answer({"error": "not now"}, 500)
    return Answer(PARTS[at], headers={"Content-Type": "text/csv", "X-Locator": NEXT[at]})
