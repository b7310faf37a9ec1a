import json

from cases.server import Answer

PREFIX = b")]}',\n"


def answer(ask):
    if ask.number == 1:
        return Answer(PREFIX + b'{"reason": "quota", "wait": 0.02}', 403)
    if ask.number == 2:
        return Answer({"data": [{"id": 1}, {"id": 2}]})
    if ask.number == 3:
        return Answer(b"\xef\xbb\xbf\r\n" + PREFIX + json.dumps({"data": [{"id": 3}]}).encode())
    return Answer(PREFIX + b'{"data": []}')
