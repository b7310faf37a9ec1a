from cases.server import Answer


def answer(ask):
    return Answer({"messages": [{"body": '{"v": 1}'}, {"body": "hello"}, {"body": '{"v": 2}'}]})
