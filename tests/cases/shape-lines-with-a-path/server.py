from cases.server import Answer


def answer(ask):
    return Answer(
        b'{"result": {"at": "mon", "rows": [[1, "a"], [2]]}}\n{"result": {"at": "tue", "rows": [[3, "c"]]}}\n'
    )
