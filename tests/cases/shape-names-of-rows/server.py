from cases.server import Answer


def answer(ask):
    return Answer({"values": [[1, "a", "x"], [2, "b"], [3], [4, "d", "y", "beyond"], {"id": 5}]})
