from cases.server import Listing, rows

answer = Listing(
    lambda ask: rows(5 if ask.number == 1 else 6), by="offset", total=lambda found, ask: len(found)
)
