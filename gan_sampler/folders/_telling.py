"""Numbers and messages for people."""

# What warnings say to those who write Python.
_OPTIONS = {
    "(n_steps)": "(--n-steps)",
    "(max_time)": "(--max-time)",
    "by max_time": "by --max-time",
    "on_poor_quality='repeat'": "--on-poor-quality repeat",
    ", with a smaller learning_rate, or": ", or",
    "; history_ shows how it went": "",
    "Use a smaller learning_rate.": "Use more or smaller images, or another --seed.",
    "name the other classes alone in sampling_strategy={label: n_images}": "name the other classes with --strategy",
    "with PixelSampler(RandomOverSampler())": "with --sampler random",
    "Raise n_steps": "Raise --n-steps",
    "Pass image_size, for example": "Pass",
    "checkpoint_dir": "--checkpoint-dir",
    ", and look at them with report.plot()": "",
}


def in_words_of_commands(text):
    """Return what is said to those who write Python in one line, with options of the command line."""
    text = " ".join(str(text).split())
    for python, option in _OPTIONS.items():
        text = text.replace(python, option)
    return text


def duration(seconds):
    """Return a duration such as ``45 s``, ``12 min`` or ``3.5 h``."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def size(n_bytes):
    """Return a size such as ``4.2 MB``."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if n_bytes < 1000:
            return f"{n_bytes:.0f} {unit}" if unit == "bytes" else f"{n_bytes:.1f} {unit}"
        n_bytes /= 1000
    return f"{n_bytes:.1f} TB"
