from cases.server import Listing, rows

answer = Listing(
    rows(5),
    by="offset",
    page=lambda ask, at: min(at, 4),
    change=lambda ask, body: {**body, "took": ask.number},
)
