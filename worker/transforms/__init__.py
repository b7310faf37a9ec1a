"""What happens to a record between decode and encode; one module per verb.

All verbs of a pipeline compile, together with its encoder, into one function.
"""
