"""Sinks: where encoded chunks are collected until a commit makes them visible.

A new sink is a module here; its ports are `Sink` and `OutputRoot` in `worker/core/ports.py`, its
contract is `worker/testing/sink_contract.py`.
"""
