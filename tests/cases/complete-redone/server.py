from cases.server import Listing, rows

answer = Listing(
    lambda ask: rows(6) if ask.number == 1 else rows(5, first=2),
    by="offset",
    total=lambda found, ask: len(found),
)
