from cases.server import Listing, rows, stamp


def there(ask):
    """Record 1 is changed before the second run."""
    changed = {"id": 1, "updated_at": stamp(9)}
    return rows(3) if ask.run == 1 else [*rows(3)[1:], changed]


answer = Listing(there, bound=("updated_since", "updated_at"))
