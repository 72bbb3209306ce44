"""report.html: the answer of a run with all results behind it, as one file that can be viewed offline."""

from ._page import render, write_html

__all__ = ["render", "write_html"]
