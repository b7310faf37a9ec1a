"""What surrounds a request to a source that may fail: retries, retry budget, breaker, gate.

`guard.py` puts them in their order, and decides whether a request is retried. `quality.py` watches
the share of rejects.
"""
