from cases.server import Answer


def answer(ask):
    if ask.number < 2:
        return Answer(
            {
                "error": {
                    "code": 429,
                    "details": [{"@type": "a"}, {"@type": "RetryInfo", "retryDelay": "0.05s"}],
                }
            },
            429,
        )
    return Answer([{"id": 1}])
