from cases.server import Listing

answer = Listing(
    [{"id": "x" if number == 3 else number, "updated_at": None} for number in range(1, 10)],
    by="offset",
    size=10,
)
