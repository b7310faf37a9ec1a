from cases.server import Listing


def found(ask):
    wrong = ask.query["tenant"] != "b"
    return [{"id": f"x{number}" if wrong else number} for number in range(6)]


answer = Listing(found, by="offset", size=20)
