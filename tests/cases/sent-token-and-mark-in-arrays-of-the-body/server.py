from cases.server import Answer

ROWS = [{"id": 1, "d": "20240501"}, {"id": 2, "d": "20240502"}, {"id": 3, "d": "20240503"}]


def answer(ask):
    asked = ask.body["reportRequests"][0]
    since = asked["dateRanges"][0]["startDate"].replace("-", "")
    rows = [row for row in ROWS[: 1 + ask.run] if row["d"] >= since]
    at = int(asked.get("pageToken", 0))
    report = {"rows": rows[at : at + 1]}
    if at + 1 < len(rows):
        report["nextPageToken"] = str(at + 1)
    return Answer({"reports": [report]})
