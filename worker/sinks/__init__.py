"""Sinks: where encoded chunks are collected until a commit makes them visible.

A new sink is a module here; its port is `Sink` in `worker/core/ports.py`.
"""
