"""What stands on a command line, turned into values."""

import re

import typer

_SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}
_BYTES = {"": 1, "B": 1, "kB": 1e3, "KB": 1e3, "MB": 1e6, "GB": 1e9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}


def duration(text):
    """Return the seconds of a duration: a number of them, ``20m``, ``1h`` or ``1h30m``."""
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return _positive(float(text), text, "seconds")
    parts = re.findall(r"(\d+(?:\.\d+)?)(s|min|m|h|d)", text)
    if not parts or "".join(map("".join, parts)) != text:
        raise typer.BadParameter(f"must be seconds or a duration such as 20m, 1h or 1h30m; got {text!r}.")
    return _positive(sum(float(number) * _SECONDS[unit] for number, unit in parts), text, "a duration")


def n_bytes(text):
    """Return the bytes of a size such as ``200MB``."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?) ?([A-Za-z]*)", text)
    if found is None or found[2] not in _BYTES:
        raise typer.BadParameter(f"must be a number of bytes, or a size such as 200MB or 1GiB; got {text!r}.")
    return int(float(found[1]) * _BYTES[found[2]])


def seeds(text):
    """Return the seeds of a list such as ``0,1,2`` or a range such as ``0-4``."""
    found = []
    for part in text.split(","):
        ends = re.fullmatch(r" *(\d+)(?:-(\d+))? *", part)
        if ends is None:
            raise typer.BadParameter(f"must be whole numbers such as 0,1,2 or a range such as 0-4; got {text!r}.")
        first, last = int(ends[1]), int(ends[2] or ends[1])
        if last < first or last - first > 10_000:
            raise typer.BadParameter(f"must be ranges from a smaller to a larger number; got {part!r}.")
        found += range(first, last + 1)
    return list(dict.fromkeys(found))


def names(texts):
    """Return the names in options that were repeated or hold commas, or None without any."""
    found = [name.strip() for text in texts or () for name in text.split(",") if name.strip()]
    return list(dict.fromkeys(found)) or None


def _positive(value, text, what):
    if value <= 0:
        raise typer.BadParameter(f"must be {what} above 0; got {text!r}.")
    return value
