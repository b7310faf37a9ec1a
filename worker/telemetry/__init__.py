"""Events become log lines, metrics and `/status` here; components know nothing of it."""
