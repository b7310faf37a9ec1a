"""worker: HTTP APIs into schema-true files, exactly once."""

__version__ = "0.1.0"
