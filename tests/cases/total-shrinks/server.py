from cases.server import Listing, rows

answer = Listing(
    lambda ask: rows(6 if ask.number == 1 else 5), by="offset", total=lambda found, ask: len(found)
)
