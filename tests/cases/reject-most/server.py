from cases.server import Listing

answer = Listing(
    [{"id": "x" if number <= 12 else number, "updated_at": None} for number in range(1, 21)],
    by="offset",
    size=20,
)
