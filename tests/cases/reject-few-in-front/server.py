from cases.server import Listing

answer = Listing(
    [{"id": f"x{number}" if number < 90 else number} for number in range(1000)],
    by="offset",
    size=90,
)
