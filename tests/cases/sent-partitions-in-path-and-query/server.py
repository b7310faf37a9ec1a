from urllib.parse import unquote

from cases.server import Answer


def answer(ask):
    if not ask.raw_query.endswith("fixed=a%2Fb"):
        return Answer({"error": ask.raw_query}, 400)
    return Answer([{"name": unquote(ask.path.split("/")[2]) + " " + ask.query["env"]}])
