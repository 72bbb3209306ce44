"""A folder of images in, a file out that draws more of them."""

import contextlib
import os
import time
from pathlib import Path

from gan_sampler.folders._listing import Notes, records_of
from gan_sampler.folders._samplers import IN_FILES, make_sampler, sampler_name
from gan_sampler.folders._source import find_source


class FolderTraining:
    """Trains a GAN on the classes of a folder, and writes it to a file.

    Parameters
    ----------
    source : path-like
        Folder with a folder of images per class, also below train, val and test, of which train is learnt from.
    file : path-like
        File to make.
    sampler : {"dcgan", "conditional"}, default="dcgan"
        A GAN for each class, or one for all.
    labels : sequence of str or None, default=None
        Classes to learn; None stands for all.
    image_size : int or None, default=None
        Height and width to read images at.
    max_time, n_steps, device, n_jobs
        Of the sampler; None stands for its own.
    seed : int, default=0
        Of the sampler.
    checkpoint_dir : path-like or None, default=None
        Where unfinished trainings are kept; None is a folder beside the file, removed at the end.
    overwrite : bool, default=False
        Whether the file may be there.
    skip_unreadable : bool, default=False
        Whether files that cannot be read are left out.
    """

    def __init__(
        self,
        source,
        file,
        *,
        sampler="dcgan",
        labels=None,
        image_size=None,
        max_time=None,
        n_steps=None,
        device="auto",
        n_jobs=None,
        seed=0,
        checkpoint_dir=None,
        overwrite=False,
        skip_unreadable=False,
    ):
        self.source, self.file = Path(source), Path(file)
        self.notes = Notes()
        if sampler not in IN_FILES:
            raise ValueError(f"sampler must be one of {', '.join(IN_FILES)}, which a file can hold; got {sampler!r}.")
        _check_file(self.file, overwrite)
        self._images = find_source(self.source, self.notes, skip_unreadable=skip_unreadable, least_classes=1)
        self._images.check_apart(self.file, "FILE")
        if checkpoint_dir is not None:
            self._images.check_apart(checkpoint_dir, "--checkpoint-dir")
        self.counts = self._images.counts
        self.labels = list(self.counts) if labels is None else list(labels)
        for label in self.labels:
            if label not in self.counts:
                raise ValueError(f"label must be a class of the folder, {', '.join(self.counts)}; got {label!r}.")
        self.sampler, self.image_size = sampler, image_size
        self._is_own_folder = checkpoint_dir is None
        self.checkpoint_dir = Path(checkpoint_dir or f"{self.file}.checkpoints")
        self._parameters = {
            "max_time": max_time,
            "n_steps": n_steps,
            "device": device,
            "n_jobs": n_jobs,
            "random_state": seed,
        }

    def run(self, *, tell=print, verbose=0):
        """Train and write the file, or go on where an interrupted run was.

        Returns
        -------
        summary : dict
            In the words of JSON.
        """
        start = time.monotonic()
        for warning in self.notes.warnings:
            tell(f"warning: {warning}")
        self.notes.tell = tell
        with self.notes.listening():
            data = self._images.load(image_size=self.image_size, verbose=verbose)
            sampler = make_sampler(
                self.sampler,
                sampling_strategy={label: int((data.target == label).sum()) + 1 for label in self.labels},
                checkpoint_dir=os.fspath(self.checkpoint_dir),
                verbose=verbose,
                **self._parameters,
            )
            sampler.fit_resample(data.images, data.target)
            # One image was asked for, and is synthetic for every `repeated_share`, which the file keeps for other fits.
            # Where it was trained says nothing to those who read the file.
            sampler.set_params(checkpoint_dir=None, sampling_strategy="auto").save(self.file)
        if self._is_own_folder:
            _remove_checkpoints(self.checkpoint_dir)
        records = records_of(sampler)
        return {
            "file": os.path.abspath(self.file),
            "source": os.path.abspath(self.source),
            "sampler": sampler_name(self.sampler),
            "image_size": list(data.images.shape[1:3]),
            "classes": {
                label: {"originals": int((data.target == label).sum()), "training": records.get(label)}
                for label in self.labels
            },
            "seconds": round(time.monotonic() - start, 1),
            "warnings": self.notes.warnings,
        }


def _remove_checkpoints(folder):
    """Remove the checkpoints in a folder, and the folder where nothing else is in it."""
    with contextlib.suppress(OSError):  # what is left then does no harm
        for checkpoint in folder.glob("*.safetensors"):
            checkpoint.unlink()
        folder.rmdir()


def _check_file(file, overwrite):
    if file.is_dir():
        raise IsADirectoryError(f"FILE must be the name of a file; got the folder {str(file)!r}. Add a name.")
    if file.exists() and not overwrite:
        raise FileExistsError(f"FILE must be new; {str(file)!r} exists. Name another, or add --overwrite.")
    if not file.parent.is_dir():
        raise FileNotFoundError(f"FILE must lie in an existing folder; there is no {str(file.parent)!r}. Make it.")
