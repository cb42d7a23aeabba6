"""Measures the service against the floor: `python -m bench`."""
