from cases.server import Listing, rows

answer = Listing(rows(5), by="offset", change=lambda ask, body: {**body, "took": ask.number})
