from cases.server import Answer, Listing, rows

answer = Listing(rows(5), by="offset", change=lambda ask, body: Answer(body, 202))
