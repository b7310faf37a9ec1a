from cases.server import Listing

answer = Listing(
    [{"id": number, "name": name} for number, name in ((1, "a"), (2, "b"), (1, "c"), (3, "d"))],
    by="offset",
)
