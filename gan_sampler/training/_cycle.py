"""Training of CycleGAN.

References
----------
.. [1] J.-Y. Zhu, T. Park, P. Isola, A. A. Efros, "Unpaired Image-to-Image Translation Using Cycle-Consistent
   Adversarial Networks", ICCV 2017. https://arxiv.org/abs/1703.10593
"""

import copy
import itertools
from functools import partial

import torch
from torch.nn.functional import l1_loss

from ..runtime import check_precision, mixed_precision, own_modes, random_stream
from ._average import move_average
from ._draw import finish
from ._progress import Progress, TrainingInterrupted, check_finite
from ._score import PixelFrechetDistance
from ._state import BatchOrder
from ._step import normalised

_POOL_SIZE = 50  # images, as in [1]_
_EMA_DECAY = 0.999
_BATCH_SIZE = 64  # of the images that are scored


def train_cycle_gan(
    translators,
    discriminators,
    source,
    target,
    *,
    n_steps,
    max_time=None,
    batch_size=1,
    learning_rate=2e-4,
    precision="auto",
    cycle_weight=10.0,
    stream=None,
    report=None,
    callback=None,
):
    """Train two translators against two discriminators, with cycle consistency [1]_.

    The adversarial losses are least squares (section 4), and the discriminators are also trained on up to 50 earlier
    translations. The translator that is returned is the moving average with the best score at a report.

    Parameters
    ----------
    translators : pair of torch.nn.Module
        From source to target and from target to source, on the same device; trained in place.
    discriminators : pair of torch.nn.Module
        For images of the target and of the source: images to logits of any shape; trained in place.
    source, target : torch.Tensor of shape (n, channels, height, width)
        Images of both domains on the networks' device, at least two of the target: uint8 in 0..255, or floats in
        [-1, 1].
    n_steps : int
        Number of updates.
    max_time : float or None, default=None
        Seconds after which training ends even if steps are left.
    batch_size : int, default=1
        Images of each domain in a step; all where there are fewer. The order is shuffled in each epoch.
    learning_rate : float, default=2e-4
        Learning rate of Adam.
    precision : {"auto", "float32", "bfloat16"}, default="auto"
        Precision of most layers of all networks in training; weights, optimisers and the average stay in float32.
        "auto" is bfloat16 on CUDA devices with instructions for it, and float32 elsewhere.
    cycle_weight : float, default=10.0
        Weight of the cycle consistency (lambda in equation 3).
    stream : torch.Generator or None, default=None
        Source of random numbers, on the device of the networks; None is a new generator seeded from torch's default
        one.
    report : callable or None, default=None
        Called with the latest entry of the history every 50 steps and at the end.
    callback : callable or None, default=None
        Called after `report` with a `TrainingProgress`, which can draw images; returning True ends the training.

    Returns
    -------
    translator : torch.nn.Module
        From source to target, frozen.
    history : list of dict
        At each report ``step``, ``seconds``, the mean losses ``loss_discriminator``, ``loss_generator`` and
        ``loss_cycle`` since the previous report, and of the translations ``score``, ``variance_ratio`` and
        ``spectral_distance`` as in `PixelFrechetDistance`.

    Raises
    ------
    FloatingPointError
        When a loss or a weight is not finite.
    ValueError
        When the device does not support `precision`.
    TrainingInterrupted
        On Ctrl-C after the first report; holds what would have been returned.
    CallbackError
        When `callback` raised an exception, which is its cause; holds what would have been returned.
    """
    check_precision(precision, source.device)
    with own_modes(source.device):  # also where a caller has autocast on, or gradients off
        stream = random_stream(source.device) if stream is None else stream
        there, back = translators
        for network in (*translators, *discriminators):
            network.train()
        average = copy.deepcopy(there).requires_grad_(False)
        adams = [
            torch.optim.Adam(itertools.chain(*(n.parameters() for n in networks)), lr=learning_rate, betas=(0.5, 0.999))
            for networks in (translators, discriminators)
        ]
        pools = [ImagePool(_POOL_SIZE, stream), ImagePool(_POOL_SIZE, stream)]
        orders = [BatchOrder(len(images), None, stream) for images in (target, source)]
        score = PixelFrechetDistance(target)
        probe = source[torch.randperm(len(source), generator=stream, device=source.device)[: score.n_images]]
        names = ("loss_discriminator", "loss_generator", "loss_cycle")
        progress = Progress(names, device=source.device, n_steps=n_steps, max_time=max_time)
        best = copy.deepcopy(average)
        try:
            while not progress.is_over:
                real = [
                    normalised(images[order.next(batch_size)])
                    for images, order in zip((target, source), orders, strict=True)
                ]
                for adam in adams:
                    adam.zero_grad()
                _allow_gradients(discriminators, False)
                with mixed_precision(source.device, precision):
                    fake = [there(real[1]), back(real[0])]
                    returned = [there(fake[1]), back(fake[0])]
                    cycle = sum(l1_loss(r, x) for r, x in zip(returned, real, strict=True))
                    adversarial = sum(_distance(d(x), 1) for d, x in zip(discriminators, fake, strict=True))
                (adversarial + cycle_weight * cycle).backward()
                adams[0].step()

                _allow_gradients(discriminators, True)
                with mixed_precision(source.device, precision):
                    classification = sum(
                        (_distance(d(x), 1) + _distance(d(pool.exchange(y.detach())), 0)) / 2
                        for d, x, y, pool in zip(discriminators, real, fake, pools, strict=True)
                    )
                classification.backward()
                adams[1].step()
                is_due = progress.count(classification, adversarial, cycle)
                move_average(average, there, progress.step, _EMA_DECAY)

                if not is_due:
                    continue
                scores = score(torch.cat(list(translate_images(average, probe))))
                check_finite(scores, progress.step)
                if progress.would_be_best(scores):
                    best.load_state_dict(average.state_dict())
                record = progress.report(scores)
                if report is not None:
                    report(record)
                progress.call_back(
                    callback,
                    partial(_draw_shown, average, source),
                    partial(finish, best),
                    (*translators, *discriminators),
                )
        except KeyboardInterrupt as exc:
            if not progress.history:
                raise
            raise TrainingInterrupted(finish(best), progress.history) from exc
        return finish(best), progress.history


class ImagePool:
    """Earlier translations, which replace half of the new ones in the discriminators' batches (section 4 of [1]_).

    Parameters
    ----------
    size : int
        Number of images kept.
    stream : torch.Generator or None, default=None
        Source of random numbers, on the device of the images; None is torch's default generator.
    """

    def __init__(self, size, stream=None):
        self.size, self.stream = size, stream
        self.images = None

    def exchange(self, images):
        """Return as many images; once the pool is full, half are from the pool and are replaced there by new ones."""
        n_kept = 0 if self.images is None else len(self.images)
        if n_kept < self.size:
            new = images[: self.size - n_kept]
            self.images = new.clone() if n_kept == 0 else torch.cat([self.images, new])
            return images
        odd = torch.randint(len(images) % 2 + 1, (), generator=self.stream, device=images.device).item()
        n_old = min(len(images) // 2 + odd, self.size)
        rows = torch.randperm(self.size, generator=self.stream, device=images.device)[:n_old]
        old = self.images[rows]
        self.images[rows] = images[:n_old]
        return torch.cat([old, images[n_old:]])


def translate_images(translator, images, batch_size=_BATCH_SIZE):
    """Translate images in batches.

    Parameters
    ----------
    translator : torch.nn.Module
        Images to images.
    images : torch.Tensor of shape (n, channels, height, width)
        uint8 in 0..255, or floats in [-1, 1], on any device.
    batch_size : int, default=64
        Largest number of images translated together.

    Yields
    ------
    images : torch.Tensor of shape (n, channels, height, width)
        Images in [-1, 1], on the network's device.
    """
    device = next(translator.parameters()).device
    for batch in images.split(batch_size):
        with own_modes(device), torch.inference_mode():
            translated = translator(normalised(batch.to(device)))
        yield translated  # outside the context, so that the caller has its own modes


def _distance(logits, wanted):
    return (logits.float() - wanted).square().mean()


def _allow_gradients(networks, allowed):
    for network in networks:
        network.requires_grad_(allowed)


def _draw_shown(translator, source, n_images, seed, index):
    """Return translations of real images chosen at random."""
    rows = torch.randint(len(source), (n_images,), generator=random_stream(source.device, seed), device=source.device)
    return torch.cat([source.new_empty(0, *source.shape[1:]).float(), *translate_images(translator, source[rows])])
