"""Formats: how bodies are decoded into records, and how records are encoded into files.

A new format, such as Parquet, is a module here.
"""
