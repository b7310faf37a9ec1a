from cases.server import Answer


def answer(ask):
    tenant = ask.path.split("?")[0][-1]
    return Answer({"groups": [{"name": f"{tenant}{n}", "rows": [{"v": n}]} for n in (1, 2)]})
