"""The files of a folder that a command reads, and the warnings of what it does, in one line each."""

import contextlib
import re
import warnings
from pathlib import Path

from gan_sampler.datasets._listing import MANIFEST, PassedOver, list_files, raise_if_classes_are_deeper
from gan_sampler.folders._telling import in_words_of_commands

_NAME_OF_MADE = re.compile(r"(^|/)(synthetic|repeated|augmented)_[^/]*_\d{6}(_seed\d+)?\.[^./]+$")


class Notes:
    """Warnings of a command, each kept once.

    Parameters
    ----------
    tell : callable of str or None, default=None
        Gets each at once, as one line.

    Attributes
    ----------
    warnings : list of str
        What was warned of.
    """

    def __init__(self, tell=None):
        self.warnings = []
        self.tell = tell

    def add(self, text):
        """Keep and tell a warning, in the words of the command line."""
        text = in_words_of_commands(text)
        if text not in self.warnings:
            self.warnings.append(text)
            if self.tell is not None:
                self.tell(f"warning: {text}")

    @contextlib.contextmanager
    def listening(self):
        """Take the warnings of a block."""
        with warnings.catch_warnings():
            warnings.simplefilter("always", UserWarning)
            warnings.showwarning = lambda message, *_, **__: self.add(message)
            yield


def find_files(source, notes, *, skip_unreadable=False, argument="SRC", least_classes=2):
    """Return the image files of a folder, and those of them that are learnt from.

    Parameters
    ----------
    source : Path
        Folder with a folder of images per class, also below train, val and test.
    notes : Notes
        Are told what is passed over.
    skip_unreadable : bool, default=False
        Whether folders that cannot be read are passed over.
    argument : str, default="SRC"
        What `source` is called.
    least_classes : int, default=2
        Number of classes that there must be.

    Returns
    -------
    files, train_files : list of ImageFile
        The latter without those of val and test.
    """
    source = Path(source)
    if not source.is_dir():
        raise FileNotFoundError(
            f"{argument} must be an existing folder of images; got {str(source)!r}. Check the path."
        )
    if (source / MANIFEST).is_file():
        raise ValueError(
            f"{argument} must hold real images alone; {str(source / MANIFEST)!r} lists synthetic ones, which would be "
            "taken for real. Name the folder that they were made from."
        )
    passed_over = PassedOver("skip" if skip_unreadable else "raise")
    try:
        files = list_files(source, passed_over)
    except ValueError as exc:
        raise ValueError(re.sub("^path must", f"{argument} must", str(exc))) from exc
    with notes.listening():
        passed_over.warn(source, stacklevel=2)
    train_files = [file for file in files if file.split in (None, "train")]
    if not train_files:
        raise ValueError(f"{argument} must hold a folder train beside val and test; {str(source)!r} has none.")
    made = next((file.filename for file in files if _NAME_OF_MADE.search(file.filename)), None)
    if made is not None:
        raise ValueError(
            f"{argument} must hold real images alone; {made!r} is called like a synthetic one. Take out what was made "
            "before, or rename it."
        )
    labels = {file.label for file in files}
    if len(labels) == 1:
        raise_if_classes_are_deeper(source, files)
    if len(labels) < least_classes:
        raise ValueError(f"{argument} must hold at least {least_classes} classes; got {labels.pop()!r} alone.")
    return files, train_files


def count_classes(files):
    """Return the number of files of each class."""
    counts = {}
    for file in files:
        counts[file.label] = counts.get(file.label, 0) + 1
    return counts


def read_images(files, root, *, image_size, skip_unreadable=False, n_jobs=None, verbose=0):
    """Return files as `load_image_folder` returns a folder."""
    from gan_sampler.datasets._reading import load

    return load(
        files,
        root=root,
        image_size=image_size,
        color="auto",
        on_error="skip" if skip_unreadable else "raise",
        n_jobs=n_jobs,
        verbose=verbose,
    )


def records_of(sampler):
    """Return what is known of each class's training, of samplers that tell."""
    from gan_sampler.samplers._judging import best_record

    histories = getattr(sampler, "history_", {})
    return {
        str(label): record_of(history, best_record)
        for label, history in histories.items()
        if history and "score" in history[-1]
    }


def record_of(history, best_record):
    """Return what a training came to, from its history."""
    best = best_record(history)
    names = ("score", "variance_ratio", "spectral_distance")
    return {
        "steps": history[-1]["step"],
        "seconds": round(history[-1]["seconds"], 1),
        "best_step": best["step"],
        **{name: round(best[name], 4) for name in names if name in best},
    }
