"""Commit logs: the durable store of commits, cursors, epochs and boundary keys.

A new log, such as one in Postgres, is a module here; its port is `CommitLog` in
`worker/core/ports.py`, its contract is `worker/testing/commit_log_contract.py`.
"""
