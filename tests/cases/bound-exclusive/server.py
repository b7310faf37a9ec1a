from cases.server import Listing, rows

answer = Listing(
    lambda ask: [row for row in rows(4) if row["updated_at"] > ask.query["updated_since"]]
)
