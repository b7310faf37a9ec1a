from cases.server import Listing


def found(ask):
    first = {"a": 0, "b": 100, "c": 200}[ask.query["tenant"]]
    wrong = ask.query["tenant"] == "a"
    return [{"id": f"x{number}" if wrong else first + number} for number in range(12)]


answer = Listing(found, by="offset", size=20)
