"""Roadworthy: drivers register, hand in their documents and are cleared to drive."""

from importlib.metadata import version

__version__ = version("roadworthy")
