from cases.server import Listing, rows, stamp


def there(ask):
    """The bound counts in whole days; an earlier record of the day is there from the second run on."""
    day = ask.query.get("updated_since", "")[:10]
    late = [{"id": 0, "updated_at": stamp(0)}] if ask.run > 1 else []
    return [row for row in [*late, *rows(5)] if row["updated_at"][:10] >= day]


answer = Listing(there)
