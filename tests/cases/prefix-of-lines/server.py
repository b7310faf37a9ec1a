from cases.server import Answer


def answer(ask):
    return Answer(b'while(1);{"id": 1}\r\n{"id": 2}\n')
