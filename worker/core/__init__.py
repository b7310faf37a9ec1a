"""What is pure and used nearly everywhere: values that travel, error categories, ports, events."""
