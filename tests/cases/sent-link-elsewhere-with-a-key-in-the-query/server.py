from cases.server import Answer


def answer(ask):
    if ask.query.get("key") != "k&k" or ask.raw_query.count("key=") != 1:
        return Answer({"e": ask.raw_query}, 401)
    port = ask.headers["Host"].partition(":")[2]
    page = int(ask.query.get("page", 1))
    nxt = {
        1: f"http://localhost:{port}/items?page=2&key=k%26k",
        2: f"http://127.0.0.1:{port}/items?page=3",
    }
    return Answer({"data": [{"id": page}], "next": nxt.get(page)})
