from cases.server import Answer


def answer(ask):
    _, rest = ask.body["params"]
    at = rest["start"]
    return Answer(
        {
            "jsonrpc": "2.0",
            "id": 1,
            "result": [{"id": i} for i in range(at, min(at + rest["limit"], 5))],
        }
    )
