from cases.server import Listing, rows

answer = Listing(
    lambda ask: rows(4 + ask.run)[::-1], by="offset", bound=("updated_since", "updated_at")
)
