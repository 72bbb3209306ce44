"""The synthetic images of an epoch: drawn in batches on the sampler's device, into memory that workers can see."""

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
    """

    def __init__(self, sampler, wanted, seed):
        # Held apart from the caller's object, which may be fitted again.
        self.sampler = object.__new__(type(sampler))
        vars(self.sampler).update(vars(sampler))
        self.wanted, self.seed = wanted, seed
        self.n_images = sum(n_images for _, _, n_images in wanted)

    def allocate(self):
        """Return memory for the images of an epoch, (n_images, channels, height, width)."""
        first = self._sample(0, self.wanted[0][0], 0) if self.wanted else torch.empty(0, 1, 0, 0, dtype=torch.uint8)
        return torch.empty((self.n_images, *first.shape[1:]), dtype=first.dtype)

    def draw(self, epoch, images, is_wanted=lambda: True):
        """Fill `images` with those of an epoch, as long as `is_wanted` returns True."""
        start = 0
        for label, index, n_images in self.wanted:
            for chunk, first in enumerate(range(0, n_images, _CHUNK)):
                if not is_wanted():
                    return
                n = min(_CHUNK, n_images - first)
                images[start : start + n] = self._sample(n, label, seed_of(self.seed, epoch, index, chunk))
                start += n

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
    """

    def __init__(self, drawing, epoch, images):
        self.epoch, self.images, self._error = epoch, images, None
        self._is_cancelled = threading.Event()
        self._thread = threading.Thread(
            target=self._draw, args=(drawing, torch.get_num_threads()), name="BalancedDataset"
        )
        self._thread.start()

    def _draw(self, drawing, n_threads):
        try:
            device = drawing.sampler.device_ if hasattr(drawing.sampler, "device_") else torch.device("cpu")
            with threads(n_threads), _own_stream(device):
                drawing.draw(self.epoch, self.images, self._is_wanted)
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
    return torch.cuda.stream(torch.cuda.Stream(device) if device.type == "cuda" else None)
