from cases.server import Answer

YEARS = (*range(1971, 1983), *range(1998, 2010))  # twelve in each of the first two windows
ROWS = [
    {"id": number, "updated_at": f"{year}-01-01T00:00:00Z"} for number, year in enumerate(YEARS, 1)
]


def answer(ask):
    begin, end = ask.query["from"], ask.query["to"]
    at, size = int(ask.query["at"]), int(ask.query["size"])
    if begin < "1971" and size > 2:
        return Answer({"error": "too large"}, 413)
    here = [row for row in ROWS if begin <= row["updated_at"] < end]
    start = at
    return Answer(here[start : start + size])
