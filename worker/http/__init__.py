"""One hardened HTTP client: credentials, limits and decoding of bodies, redirects, registries."""
