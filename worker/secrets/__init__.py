"""Secrets that are asked for elsewhere: commands, and services that keep secrets."""
