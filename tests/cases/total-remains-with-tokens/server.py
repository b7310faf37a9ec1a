from cases.server import Listing, rows

answer = Listing(rows(7), total=lambda found, ask: len(found) - int(ask.query.get("token", 0)))
