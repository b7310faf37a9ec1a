"""What happens to a record between decode and encode: verbs that compile, together with the
encoder, into one function per pipeline."""
