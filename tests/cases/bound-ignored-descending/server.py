from cases.server import Listing, rows, stamp

ROWS = rows(5)


def there(ask):
    """From the second run on there is a record that is older than what was read."""
    return [{"id": 0, "updated_at": stamp(0)}, *ROWS] if ask.run > 1 else ROWS


answer = Listing(lambda ask: there(ask)[::-1], by="offset")
