from cases.server import Answer


def answer(ask):
    if ask.path == "/moved":
        return Answer({"items": [{"id": 1}]})
    return Answer(b"<html></html>", 301, {"Location": "/moved"})
