from urllib.parse import unquote

from cases.server import Answer


def answer(ask):
    given = [unquote(each) for each in ask.raw_query.split("&")]
    if given not in (["expand=x", "expand=b c", "limit=2"], ["expand=y", "expand=b c", "limit=2"]):
        return Answer({"error": given}, 400)
    return Answer([{"id": 1 if "expand=x" in given else 2}])
