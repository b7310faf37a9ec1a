"""The composition root: settings become running parts.

No other package knows the concrete classes.
"""
