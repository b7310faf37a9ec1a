"""Pagination styles: where a pass begins, and where the next page is. Pure."""
