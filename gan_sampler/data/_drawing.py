"""The synthetic images of an epoch: drawn in batches on the sampler's device, into memory that workers can see."""

import contextlib
import threading

import torch

from ..runtime import threads
from ._random import seed_of
from ._sources import to_tensor

_CHUNK = 256  # images of one call of the sampler


class Drawing:
    """Draws the synthetic images of any epoch.

    Parameters
    ----------
    sampler : object
        Has `sample` and `image_format_`.
    wanted : list of (label, int, int)
        Label, index of the class and number of images.
    seed : int
        The images depend on it, the epoch and the class alone.
    refresh : float, default=1.0
        Share of the images that is drawn anew for each epoch; the others stay, none for more than about
        ``1 / refresh`` epochs.
    """

    def __init__(self, sampler, wanted, seed, refresh=1.0):
        # Held apart from the caller's object, which may be fitted again.
        self.sampler = object.__new__(type(sampler))
        vars(self.sampler).update(vars(sampler))
        self.wanted, self.seed = wanted, seed
        self._period = max(1, round(1 / refresh))
        self.n_images = sum(n_images for _, _, n_images in wanted)

    def allocate(self):
        """Return memory for the images of an epoch, (n_images, channels, height, width)."""
        first = self._sample(0, self.wanted[0][0], 0) if self.wanted else torch.empty(0, 1, 0, 0, dtype=torch.uint8)
        return torch.empty((self.n_images, *first.shape[1:]), dtype=first.dtype)

    def draw(self, epoch, images, *, before=None, is_wanted=lambda: True):
        """Fill `images` with those of an epoch.

        Parameters
        ----------
        epoch : int
            The epoch.
        images : torch.Tensor of shape (n_images, channels, height, width)
            Written to.
        before : (int, torch.Tensor) or None, default=None
            Another epoch and its images, from which those that stay are taken; may be `images` itself. None draws all,
            and gives the same.
        is_wanted : callable
            Asked now and then whether to go on.
        """
        start = 0
        for label, index, n_images in self.wanted:
            for turn in range(min(self._period, n_images)):
                rows = slice(start + turn, start + n_images, self._period)  # that are drawn together
                born = self._born(epoch, turn)
                if before is not None and self._born(before[0], turn) == born:
                    images[rows] = before[1][rows]
                    continue
                own = images[rows]
                for chunk, first in enumerate(range(0, len(own), _CHUNK)):
                    if not is_wanted():
                        return
                    part = own[first : first + _CHUNK]
                    part.copy_(self._sample(len(part), label, seed_of(self.seed, born, index, chunk)))
            start += n_images

    def _born(self, epoch, turn):
        """Return when images that stand in an epoch were drawn, as a number above 0."""
        return epoch - (epoch - turn) % self._period + self._period

    def _sample(self, n_images, label, seed):
        return to_tensor(self.sampler.sample(n_images, label, random_state=seed), self.sampler.image_format_)


class Ahead:
    """The next epoch's images, drawn in a thread while the present one is trained on.

    Most of the time is spent inside of torch, where a thread leaves the interpreter to others.

    Parameters
    ----------
    drawing : Drawing
        What draws.
    epoch : int
        The epoch.
    images : torch.Tensor
        Where they are written.
    before : (int, torch.Tensor)
        The present epoch and its images.
    """

    def __init__(self, drawing, epoch, images, before):
        self.epoch, self.images, self._before, self._error = epoch, images, before, None
        self._is_cancelled = threading.Event()
        self._thread = threading.Thread(
            target=self._draw, args=(drawing, torch.get_num_threads()), name="BalancedDataset"
        )
        self._thread.start()

    def _draw(self, drawing, n_threads):
        try:
            device = drawing.sampler.device_ if hasattr(drawing.sampler, "device_") else torch.device("cpu")
            with threads(n_threads), _own_stream(device):
                drawing.draw(self.epoch, self.images, before=self._before, is_wanted=self._is_wanted)
        except BaseException as exc:  # which belongs to who waits for the images
            self._error = exc

    def _is_wanted(self):
        # a program that ends waits for this thread
        return not self._is_cancelled.is_set() and threading.main_thread().is_alive()

    def finish(self):
        """Wait until all are drawn; raise what was raised there."""
        self._thread.join()
        if self._error is not None:
            raise self._error

    def cancel(self):
        """Draw no more, and wait for what is under way."""
        self._is_cancelled.set()
        self._thread.join()


def _own_stream(device):
    """Return a context in which CUDA works beside what the training has queued; elsewhere one that does nothing."""
    return torch.cuda.stream(torch.cuda.Stream(device)) if device.type == "cuda" else contextlib.nullcontext()
