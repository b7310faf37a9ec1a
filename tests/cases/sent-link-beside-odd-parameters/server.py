from cases.server import Answer


def answer(ask):
    page = int(ask.query.get("page", 1))
    link = f'</items?page=1>; title="a, b; rel=\\"next\\""; rel="first", </items?page={page + 1}>; REL="last next"; title*=UTF-8\'\'x'
    return Answer([{"id": page}], headers={"Link": link} if page < 3 else {})
