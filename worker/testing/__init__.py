"""The public kit for tests.

A clock that tests own, a server that misbehaves on purpose, a commit log and a sink in memory, and
the contracts that every commit log and every sink has to keep, as tests to inherit from.
"""
