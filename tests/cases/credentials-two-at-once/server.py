import base64

from cases.server import Answer


def answer(ask):
    good = (
        ask.headers.get("X-Gateway-Key") == "k1"
        and ask.headers.get("Authorization") == "Basic " + base64.b64encode(b"me:pw").decode()
        and ask.headers.get("Cookie") == "a=1; b=2"
    )
    return Answer([{"id": 1}] if good else {"error": "no"}, 200 if good else 401)
