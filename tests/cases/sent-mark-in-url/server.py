from cases.server import Listing, rows

answer = Listing(lambda ask: rows(4 + ask.run), bound=("updated_since", "updated_at"))
