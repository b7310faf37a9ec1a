from cases.server import Answer

DEVICES = [("a", [1, 2]), ("b", [3]), ("c", []), ("d", []), ("e", [4]), ("f", None)]


def answer(ask):
    start = 2 * (int(ask.query["page"]) - 1)
    devices = [
        {"name": name, "points": None if times is None else [{"t": t} for t in times]}
        for name, times in DEVICES[start : start + 2]
    ]
    return Answer({"devices": devices, "meta": {"at": "noon"}})
