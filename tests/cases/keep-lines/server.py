from cases.server import Answer


def answer(ask):
    return Answer(b"""{"id": 1, "x": 1}
{broken
  {"id": 2, "y": {"a" : 1e400}}
""")
