"""Attacks on the package, of minutes each, which are no part of the tests: `make fuzz` and `make chaos`."""
