"""worker: HTTP APIs into schema-true files, exactly once.

Read `pipeline.py` first; docs/architecture.md says where everything is.
"""

__version__ = "0.1.0"
