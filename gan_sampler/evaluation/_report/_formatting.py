"""Numbers, times and p-values as the text of a page, and as cells of its tables."""

from datetime import UTC, datetime

import numpy as np
import pandas as pd

from ._blocks import Cell

DASH, TIMES = "\N{EN DASH}", " \N{MULTIPLICATION SIGN} "


def plural(n, word):
    """Return a count of things, such as ``1 cell`` or ``2 cells``."""
    return f"{n:,} {word}" if n == 1 else f"{n:,} {word}s"


def mean_of(values):
    """Return the mean, NaN without values."""
    return float(np.mean(values)) if values else np.nan


def number_cell(value, style):
    """Return a cell of a number; NaN is a dash that sorts last."""
    if value is None or pd.isna(value):
        return Cell(DASH, "")
    return Cell(style(value), float(value))


def count_cell(value):
    """Return a cell of a whole number."""
    return Cell(str(value), int(value))


def p_value(value):
    """Return a p-value with three digits and without its zero."""
    return "< .001" if value < 0.001 else f"{value:.3f}".lstrip("0") if value < 1 else "1"


def p_in_sentence(value):
    """Return a p-value as it follows the word p."""
    return p_value(value) if value < 0.001 else f"= {p_value(value)}"


def utc_minute(iso):
    """Return a date in ISO format as that of UTC, up to the minute."""
    return f"{datetime.fromisoformat(iso).astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def duration(value):
    """Return a number of seconds in seconds, minutes or hours."""
    if 0 < value < 0.05:
        return "< 0.1 s"
    if value < 120:
        return f"{value:.1f} s" if value < 10 else f"{value:.0f} s"
    return f"{value / 60:.0f} min" if value < 7200 else f"{value / 3600:.1f} h"
