from cases.server import Listing

answer = Listing(
    [{"id": f"x{number}" if number < 100 else number} for number in range(1000)],
    by="offset",
    size=100,
)
