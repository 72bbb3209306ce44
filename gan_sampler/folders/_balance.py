"""A folder of images in, a balanced folder out."""

import os
import shutil
import time
import warnings
from dataclasses import dataclass
from importlib.metadata import version
from inspect import signature
from pathlib import Path

from gan_sampler.datasets._encoding import check_kind, encode, named_kind
from gan_sampler.datasets._listing import MANIFEST
from gan_sampler.datasets._places import FolderWriter, check_apart
from gan_sampler.folders._listing import Notes, records_of
from gan_sampler.folders._samplers import IN_FILES, SAMPLERS, has_parameter, make_sampler, sampler_name
from gan_sampler.folders._source import find_source
from gan_sampler.folders._state import FolderState
from gan_sampler.folders._strategy import wanted_counts

_N_TRIAL = 64  # images of a class in trial runs
_MORE_STEPS = (10, 50)  # of trial runs; the last only where they are fast: so many that a score is among them
_LONG, _VERY_LONG = 2.0, 10.0  # seconds of a trial run after which no longer one, or no other, follows
_N_ENCODED = 5  # images of a class that tell how large its files will be


@dataclass(frozen=True)
class Plan:
    """What a balancing will do.

    Parameters
    ----------
    counts, wanted : dict of str to int
        Number of training images of each class, and how many it shall have.
    n_others : int
        Files of the validation and test part.
    seconds : float or None
        About how long it trains; None where the sampler does not.
    disk_bytes : int
        Size of what is written.
    copies : bool
        Whether originals have to be copied.
    """

    counts: dict
    wanted: dict
    n_others: int
    seconds: float | None
    disk_bytes: int
    copies: bool


class Balancing:
    """Balances a folder of images.

    Parameters
    ----------
    source : path-like
        Folder with a folder of images per class, also below train, val and test, of which train is balanced; nothing is
        written into it. Or an ``.npz`` file as `gan_sampler.datasets.load_npz` reads it, whose images become PNG files.
    path : path-like
        Folder to make, or one that the same call was interrupted in.
    sampler : str, default="dcgan"
        One of dcgan, vision_aided, conditional, augmentation, smote, adasyn and random.
    strategy : sequence of str, default=("auto",)
        How many images each class shall have: a word of imbalanced-learn's, a ratio, or ``NAME=NUMBER`` for each class.
    image_size : int or None, default=None
        Height and width to read images at; needed where they differ in size. Originals are linked as they are.
    max_time, n_steps, device, on_poor_quality, n_jobs
        Of the sampler; None stands for its own.
    seed : int, default=0
        Of the sampler.
    repeated_share : float or None, default=None
        Share, in [0, 1), of the images added to a class that are repeated real images, as links. None stands for 0, not
        for the sampler's own: repeated files can be had without a sampler, and look like originals in a listing.
    every_class : bool, default=False
        Whether real images are repeated to balance the classes, and every class gets synthetic images, a quarter of the
        largest class's number, so that artefacts of the generator say nothing about the class.
    checkpoint_dir : path-like or None, default=None
        Where unfinished trainings are kept; None is a folder in `path`, removed at the end.
    copy : bool, default=False
        Whether originals are copied.
    file_format : str or None, default=None
        Format of synthetic files; None is that of the originals.
    skip_unreadable : bool, default=False
        Whether files that cannot be read are left out with a warning, rather than an error.
    command : str, default=""
        What the user typed, to be told how to go on.
    """

    def __init__(
        self,
        source,
        path,
        *,
        sampler="dcgan",
        strategy=("auto",),
        image_size=None,
        max_time=None,
        n_steps=None,
        device="auto",
        seed=0,
        checkpoint_dir=None,
        copy=False,
        file_format=None,
        on_poor_quality=None,
        repeated_share=None,
        every_class=False,
        n_jobs=None,
        skip_unreadable=False,
        command="",
    ):
        self.source, self.path = Path(source), Path(path)
        self.sampler, self.strategy = sampler, tuple(strategy)
        self.image_size, self.seed = image_size, seed
        self.copy, self.file_format = copy, file_format
        self.checkpoint_dir = checkpoint_dir
        self.skip_unreadable = skip_unreadable
        self.command = command
        self._parameters = {
            "n_steps": n_steps,
            "max_time": max_time,
            "on_poor_quality": on_poor_quality,
            "repeated_share": repeated_share,
            "synthetic_classes": "all" if every_class else None,
            "n_jobs": n_jobs,
        }
        self._device = device
        self._notes = Notes()
        self._check_words()
        if self.source.is_dir():
            check_apart(self.path, self.source, argument="DST")
        self._images = find_source(self.source, self._notes, skip_unreadable=skip_unreadable)
        self._images.check_apart(self.path, "DST")
        if checkpoint_dir is not None:
            self._images.check_apart(checkpoint_dir, "--checkpoint-dir")
        self.counts = self._images.counts
        self.wanted = wanted_counts(self.strategy, self.counts)
        self.every_class = every_class
        options = {
            "SRC": os.path.abspath(self.source),
            "--sampler": sampler,
            "--strategy": list(self.strategy),
            "--image-size": image_size,
            "--seed": seed,
            "--n-steps": n_steps,
            "--on-poor-quality": on_poor_quality,
            "--repeated-share": repeated_share,
            "--every-class": every_class,
            "--copy": copy,
            "--format": file_format,
        }
        free = ("--n-steps", "--on-poor-quality")  # as poor images advise to train longer
        self._state = FolderState(self.path, options, self._images.digest(), command, free)
        self.is_resumed = self._state.check()

    @property
    def warnings(self):
        """What was warned of until now."""
        return self._notes.warnings

    @property
    def summary(self):
        """What came of it, where it is finished."""
        return self._state.summary

    @property
    def repeated_share(self):
        """Share of the images added to a class that are repeated ones, unless every class gets synthetic images."""
        return self._parameters["repeated_share"] or 0

    def _check_words(self):
        if self.sampler not in SAMPLERS:
            raise ValueError(f"sampler must be one of {', '.join(SAMPLERS)}; got {self.sampler!r}.")
        for name, value in self._parameters.items():
            if value is not None and not has_parameter(self.sampler, name):
                name = "every_class" if name == "synthetic_classes" else name
                raise ValueError(f"{name} must be left out with the sampler {self.sampler!r}, which has no use for it.")
        share = self._parameters["repeated_share"]
        if share is not None:
            if not 0 <= share < 1:
                raise ValueError(
                    f"repeated_share must be in [0, 1); got {share}. With --sampler random all are repeated."
                )
            if self._parameters["synthetic_classes"] == "all":
                raise ValueError("repeated_share must be left out with every_class, which decides what is repeated.")
        if self.file_format is not None:
            named_kind(self.file_format)

    def plan(self, *, verbose=0):
        """Tell what will be done, from the heads of the files and a few steps of training.

        Returns
        -------
        plan : Plan
        """
        self._images.check_sizes(self.image_size)
        with self._notes.listening():
            data = self._images.load(image_size=self.image_size, n_images=_N_TRIAL)
        originals = self._images.originals(data)
        kinds = self._kinds(originals, data.images)
        n_bytes = 0
        wanted = self._planned()
        for label, n_wanted in wanted.items():
            sizes = [len(encode(image, kinds[label])) for image in data.images[data.target == label][:_N_ENCODED]]
            n_bytes += sum(sizes) / len(sizes) * (n_wanted - self.counts[label]) * (1 - self.repeated_share)
        copies = self.copy or not self._can_link()
        if copies:
            n_bytes += self._images.n_bytes
        return Plan(
            counts=self.counts,
            wanted=wanted,
            n_others=self._images.n_others,
            seconds=self._estimate(data),
            disk_bytes=int(n_bytes),
            copies=copies,
        )

    def _planned(self):
        """Return how many images each class will have."""
        from gan_sampler.samplers import BaseImageOverSampler

        n_synthetic = 0
        if self.every_class:
            ratio = signature(BaseImageOverSampler).parameters["synthetic_ratio"].default
            n_synthetic = max(1, round(ratio * max(self.counts.values())))
        return {label: self.wanted.get(label, count) + n_synthetic for label, count in self.counts.items()}

    def _nearest_folder(self):
        """Return the folder to be made, or the nearest one above it that exists."""
        place = Path(os.path.abspath(self.path))
        return next(folder for folder in (place, *place.parents) if folder.exists())

    def _can_link(self):
        place = self._nearest_folder()
        return self._images.devices == {os.stat(place).st_dev}

    def _estimate(self, data):
        """Return about how many seconds training takes, from a few steps of it."""
        import numpy as np

        sampler = self._make_sampler({}, verbose=0)
        n_steps = getattr(sampler, "n_steps", None)
        if n_steps is None or not (self.wanted or self.every_class):
            return None
        counts = dict(zip(*np.unique(data.target, return_counts=True), strict=True))
        strategy = {label: int(counts[label]) + 1 for label in self.wanted}

        def seconds_of(steps):
            trial = self._make_sampler(strategy, verbose=0).set_params(n_steps=steps, max_time=None)
            start = time.perf_counter()
            trial.fit_resample(data.images, data.target)
            return time.perf_counter() - start

        few = max(2, len(counts))  # one for each class at least
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # these are poor on purpose
            first = seconds_of(few)  # it pays for what is loaded once
            if first > _VERY_LONG:
                rate = first / few
            else:
                once = min(first, seconds_of(few))  # what every fit costs
                for n_more in _MORE_STEPS:
                    found = seconds_of(few + n_more)
                    rate = max(found - once, found / 10) / n_more  # on a busy machine times vary
                    if found > _LONG:
                        break
        seconds = rate * n_steps
        return seconds if sampler.max_time is None else min(seconds, sampler.max_time)

    def _make_sampler(self, strategy, *, verbose, **parameters):
        return make_sampler(
            self.sampler,
            n_smallest=min((self.counts[label] for label in self.wanted), default=None),
            sampling_strategy=strategy,
            device=self._device,
            random_state=self.seed,
            verbose=verbose,
            # Repeated images are links to the originals, so none of them is changed.
            **self._parameters | {"repeated_share": self.repeated_share, "augmented_share": 0},
            **parameters,
        )

    def _kinds(self, originals, images):
        kinds = originals.kinds(self.file_format, images)
        for kind in kinds.values():
            check_kind(kind, images.dtype, "the originals")
        return kinds

    def run(self, *, tell=print, verbose=0):
        """Balance, or go on where an interrupted run was.

        Parameters
        ----------
        tell : callable of str
            Gets one line of text at a time.
        verbose : int, default=0
            Whether to show bars.

        Returns
        -------
        summary : dict
            In the words of JSON.
        """
        if self._state.summary is not None:
            return self._state.summary
        start = time.monotonic()
        for warning in self.warnings:
            tell(f"warning: {warning}")
        self._notes.tell = tell
        with self._notes.listening():
            data = self._images.load(image_size=self.image_size, verbose=verbose)
        originals = self._images.originals(data)
        kinds = self._kinds(originals, data.images)
        self._make_sampler({}, verbose=0)  # raises where a parameter is not the sampler's
        self._check_room()
        if not self.is_resumed:  # else the command that it was begun with stays on record until this one has worked
            self._state.write()
        with self._state.lock():
            summary = self._make(data, originals, kinds, tell, verbose)
        summary["seconds"] = round(time.monotonic() - start, 1)
        self._state.write(summary)
        self._state.remove_work()
        return summary

    def _check_room(self):
        place = self._nearest_folder()
        if self.copy or not self._can_link():
            needed = self._images.n_bytes
            free = shutil.disk_usage(place).free
            if needed > free:
                raise OSError(
                    f"DST must have room for copies of the originals, {needed:,} bytes; {str(place)!r} has {free:,}. "
                    "Name a place on the disk of SRC, where they are linked, or free some room."
                )

    def _make(self, data, originals, kinds, tell, verbose):

        from gan_sampler.datasets import _saving

        writer = FolderWriter(self.path, self.copy)
        if self.is_resumed:
            writer.remove_unfinished()
        originals.add_to(writer, verbose)
        if writer.no_links:
            tell(f"Originals are copied, because DST cannot have links to them ({writer.no_links}).")
        images, labels, sampler, records = data.images, data.target, None, {}
        if self.wanted or self.every_class:
            checkpoints = self.checkpoint_dir or self._state.work / "checkpoints"
            sampler = self._make_sampler(self.wanted, verbose=verbose, checkpoint_dir=os.fspath(checkpoints))
            try:
                with self._notes.listening():
                    images, labels = sampler.fit_resample(data.images, data.target)
            except (ValueError, TypeError, ImportError, MemoryError):
                if not self.is_resumed and not any(Path(checkpoints).glob("*.safetensors")):
                    self._state.take_back(originals.places)  # so that another command is not refused for it
                raise
            records = records_of(sampler)
        if self.is_resumed:
            self._remove_made(originals)
        made = _saving.write_images(
            writer,
            images,
            labels,
            [None if row < len(data.target) else "synthetic" for row in range(len(labels))],
            originals,
            kinds,
            about=_saving.About(sampler_name(self.sampler), self.seed),
            verbose=verbose,
        )
        writer.put(_saving.manifest_bytes(made.manifest), MANIFEST)
        return self._summarise(originals, made, writer, records, images)

    def _remove_made(self, originals):
        """Remove images of an interrupted run, of which there may have been more."""
        known = set(originals.places)
        for folder in originals.class_folders.values():
            for word in ("synthetic", "repeated"):
                for file in (self.path / folder).glob(f"{word}_*_seed{self.seed}.*"):
                    if file.relative_to(self.path).as_posix() not in known:
                        file.unlink()

    def _summarise(self, originals, made, writer, records, images):
        classes = {}
        for label in self.counts:
            lines = [line for line in made.manifest if line["class"] == label]
            n_repeated = sum(Path(line["file"]).name.startswith("repeated_") for line in lines)
            classes[label] = {
                "originals": int((originals.labels == label).sum()),
                "synthetic": len(lines) - n_repeated,
                "repeated": n_repeated,
                "near_copies": sum(line["near_copy"] == "yes" for line in lines) - n_repeated,
                **({"training": records[label]} if label in records else {}),
            }
        return {
            "path": os.path.abspath(self.path),
            "source": os.path.abspath(self.source),
            "sampler": sampler_name(self.sampler),
            "version": version("gan-sampler"),
            "seed": self.seed,
            "image_size": list(images.shape[1:3]),
            "classes": classes,
            "n_others": self._images.n_others,
            "n_linked": writer.n_linked,
            "n_copied": writer.n_copied,
            "n_written": writer.n_written,
            "manifest": os.path.abspath(self.path / MANIFEST),
            "warnings": self.warnings,
        }

    def interruption(self):
        """Return how to go on after an interruption."""
        if not self._state.root.exists():
            return "Nothing was written."
        keeps = self.sampler in IN_FILES
        where = " where training was" if keeps else "; this sampler's training starts anew"
        return f"The same command goes on{where}."
