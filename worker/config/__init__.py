"""The config language: YAML with places, merging, problems, scalar types, secrets.

`worker/settings.py` puts the models of a whole config together.
"""
