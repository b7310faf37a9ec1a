import time

from cases.server import Answer


def answer(ask):
    if ask.number == 1:
        return Answer(
            {"retry_after": 0.05},
            429,
            {
                "X-RateLimit-Remaining": "0",
                "X-RateLimit-Reset": f"{time.time() + 0.1:.3f}",
                "X-RateLimit-Reset-After": "0.1",
            },
        )
    return Answer([{"id": 1}])
