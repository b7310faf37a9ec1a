from cases.server import Answer

AT = ("2024-02-01T00:00:00Z", "2024-12-31T00:00:00Z", "2025-12-31T00:00:00Z")
ROWS = [{"id": number, "updated_at": at} for number, at in enumerate(AT)]


def answer(ask):
    begin, end = ask.query["from"], ask.query["to"]
    return Answer([row for row in ROWS if begin <= row["updated_at"] <= end])
