"""Sources: how a page is asked for, and what a response means."""
