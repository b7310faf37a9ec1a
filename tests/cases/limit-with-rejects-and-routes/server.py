from cases.server import Listing, rows


def rows_of(ask):
    found = rows(8 + 4 * ask.run)
    found[5]["id"] = "none"
    return found


answer = Listing(
    rows_of,
    by="page",
    bound=("since", "updated_at"),
    change=lambda ask, body: body | {"used": "7"},
)
