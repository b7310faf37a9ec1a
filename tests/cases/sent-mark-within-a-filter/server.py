import re

from cases.server import Answer


def answer(ask):
    found = re.fullmatch(r"modified ge (\S+) and kind eq 'a\+b'", ask.query["$filter"])
    if "+" in ask.raw_query or not found:
        return Answer({"error": ask.raw_query}, 400)
    return Answer(
        {
            "value": [
                {"id": i, "updated_at": f"2024-05-06T00:00:0{i}Z"}
                for i in range(1, ask.run + 1)
                if f"2024-05-06T00:00:0{i}Z" >= found[1]
            ]
        }
    )
