from cases.server import Answer


def answer(ask):
    return Answer(
        b'{"id": 1, "rows": [{"v": 1}, {"v": 2}]}\n{oops\n{"id": 2, "rows": []}\n{"id": 3}\n{"id": 4, "rows": [{"v": 4}]}\n'
    )
