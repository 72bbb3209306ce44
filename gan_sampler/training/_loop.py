"""The training loop."""

import copy
from functools import partial

import torch
from torch.nn import Identity

from ..runtime import check_precision, own_modes, random_stream
from ._draw import freeze
from ._losses import check_loss
from ._progress import Progress, TrainingInterrupted
from ._state import BatchOrder, TrainingState, draw_noise
from ._step import (
    allows_one_pass,
    discriminator_gradients,
    generate,
    generator_gradients,
    normalised,
    one_pass_gradients,
    train_mode,
)

_MAX_ROLLBACKS = 3
_SHOWN_BATCH_SIZE = 64  # of images for a callback; enough for statistics of their own


def train_gan(
    generator,
    discriminator,
    images,
    *,
    classes=None,
    n_steps,
    max_time=None,
    n_iter_no_change=None,
    batch_size=32,
    learning_rate=2e-4,
    discriminator_learning_rate=None,
    beta_1=0.5,
    ema_decay=0.999,
    precision="auto",
    loss="non_saturating",
    augment=None,
    penalty=None,
    score=None,
    stream=None,
    checkpoint=None,
    report=None,
    callback=None,
):
    """Train a generator against a discriminator, and return the best average of the generators passed on the way.

    Where the discriminator does not couple the images of a batch, one pass of the generated images through it serves
    both networks; else each network has its own. A weight that is no longer finite, or a mean loss beyond all reason
    (10,000), takes training back to the last report, with half the learning rate, at most three times.

    Parameters
    ----------
    generator : torch.nn.Module
        Maps noise of shape (n, latent_dim) to images; trained in place.
    discriminator : torch.nn.Module
        Maps images to logits of shape (n,), or with further axes, as (n, 1, h, w) of patches; trained in place, except
        for parts without gradients, such as a pretrained network, which stay in eval mode.
    images : torch.Tensor of shape (n_images, channels, height, width)
        Real images on the networks' device: uint8 in 0..255, or floats in [-1, 1].
    classes : torch.Tensor of shape (n_images,), int64, or None, default=None
        Class of each image, 0, 1 and so on, for class-conditional networks, which take the index of a class as second
        argument. The classes then take turns, a batch of each.
    n_steps : int
        Number of updates of the generator; at least one for each class.
    max_time : float or None, default=None
        Seconds after which training ends even if steps are left, those before a resumption included; every class gets
        at least one update.
    n_iter_no_change : int or None, default=None
        Number of reports in a row without a better score after which training ends.
    batch_size : int, default=32
        Images of either kind in one update; all images where there are fewer.
    learning_rate : float, default=2e-4
        Learning rate of Adam for both networks.
    discriminator_learning_rate : float or None, default=None
        Another learning rate for the discriminator.
    beta_1 : float, default=0.5
        Adam's decay of the first moment.
    ema_decay : float, default=0.999
        Decay of the average of the generator's weights. Early averages forget faster, as (1 + step) / (10 + step).
    precision : {"auto", "float32", "bfloat16"}, default="auto"
        Precision of most layers of both networks in training; weights, optimisers and the average stay in float32.
        "auto" is bfloat16 on CUDA devices with instructions for it, and float32 elsewhere.
    loss : Loss, str or tuple of (callable, callable), default="non_saturating"
        What the networks minimise, its name in `LOSSES`, or two functions as `Loss` takes them.
    augment : callable or None, default=None
        Differentiable change of a batch of images before the discriminator sees it, real or generated. Called with the
        images and the keyword ``generator``, a `torch.Generator` to draw from.
    penalty : callable or None, default=None
        Called as ``penalty(discriminator, real, step)`` before the discriminator's update; adds to its gradients.
    score : callable or None, default=None
        Called with images of the average at each report; returns a dict with ``score``, the lower the better, and
        whatever else shall stand in the history. Has an attribute ``n_images`` and, for class-conditional networks,
        ``classes``, the indices of those it wants images of, in a list. None keeps the last average.
    stream : torch.Generator or None, default=None
        What order, noise and augmentation are drawn from, on the device of the networks. None stands for one whose
        seed is drawn from torch's own stream.
    checkpoint : Checkpoint or None, default=None
        Where the state is kept: read at the start, to go on from there, and given the state of every report.
    report : callable or None, default=None
        Called with the newest entry of the history every 50 steps and at the end.
    callback : callable or None, default=None
        Called after `report` with a `TrainingProgress`, which can draw images; returning True ends the training as if
        all steps were made. Its time counts for `max_time`.

    Returns
    -------
    average : torch.nn.Module
        The averaged generator with the best score, frozen.
    history : list of dict
        At each report ``step``, ``seconds``, the means since the last report ``loss_discriminator`` and
        ``loss_generator``, and what `score` returned.

    Raises
    ------
    FloatingPointError
        When losses or weights are beyond reason and going back did not help.
    ValueError
        When there are fewer steps than classes, one of which would never be trained, or when the device does not
        support `precision`.
    TrainingInterrupted
        At Ctrl-C after the first report; holds what would have been returned.
    CallbackError
        When `callback` raised an exception, which is its cause; holds what would have been returned.
    """
    n_classes = None if classes is None else len(classes.unique())
    if n_classes is not None and n_steps < n_classes:
        raise ValueError(f"n_steps must be at least {n_classes}, one for each class to be trained; got {n_steps}.")
    loss = check_loss(loss)
    device = images.device
    check_precision(precision, device)
    with own_modes(device):  # also where a caller has autocast on, or gradients off
        if stream is None:
            stream = random_stream(device)
        for network in (generator, discriminator):
            train_mode(network).to(memory_format=torch.channels_last)
        progress = Progress(
            device=device,
            n_steps=n_steps,
            max_time=max_time,
            n_iter_no_change=n_iter_no_change,
            least_steps=n_classes or 1,
        )
        state = TrainingState(
            generator,
            discriminator,
            learning_rates=(learning_rate, discriminator_learning_rate or learning_rate),
            beta_1=beta_1,
            batches=BatchOrder(len(images), classes, stream),
            progress=progress,
            stream=stream,
        )
        augment = Identity() if augment is None else partial(augment, generator=stream)
        one_pass = allows_one_pass(
            discriminator, images, loss=loss, index=None if classes is None else 0, precision=precision
        )
        probe = state.draw_noise(score.n_images if score else 0)  # the same at each report, so that scores compare
        kept = None if checkpoint is None else checkpoint.read()
        if kept is not None:
            try:
                state.restore(*kept)
            except ValueError as exc:
                raise ValueError(
                    f"{checkpoint.path} holds no state of these networks: {exc}. Delete it, or name another "
                    "checkpoint_dir."
                ) from exc
        last_valid = state.capture()
        progress.start_clock()

        try:
            while not progress.is_over:
                index = None if classes is None else (progress.step + 1) % n_classes
                rows = state.batches.next(batch_size, index or 0)
                real, noise = normalised(images[rows]), state.draw_noise(len(rows))
                options = {"loss": loss, "augment": augment, "index": index, "precision": precision}

                discriminator.zero_grad(), generator.zero_grad()
                if penalty is not None:
                    penalty(discriminator, real, progress.step + 1)
                if one_pass:
                    losses = one_pass_gradients(generator, discriminator, real, noise, **options)
                    state.discriminator_adam.step()
                else:
                    fake = generate(generator, noise, index, precision=precision)
                    loss_discriminator = discriminator_gradients(discriminator, real, fake, **options)
                    state.discriminator_adam.step()
                    losses = loss_discriminator, generator_gradients(discriminator, fake, **options)
                state.generator_adam.step()
                is_due = progress.count(*losses)
                state.move_average(ema_decay)

                if not is_due:
                    continue
                if not state.is_finite():
                    _roll_back(state, last_valid)
                    continue
                record = state.evaluate(probe, score)
                last_valid = state.capture()
                if checkpoint is not None:
                    checkpoint.keep(last_valid)
                if report is not None:
                    report(record)
                progress.call_back(
                    callback,
                    partial(_draw_shown, state.average),
                    partial(freeze, state.best, n_classes, stream),
                    (generator, discriminator),
                )
            best = freeze(state.best, n_classes, stream)
        except KeyboardInterrupt as exc:
            if not progress.history:
                raise
            raise TrainingInterrupted(freeze(state.best, n_classes, stream), progress.history) from exc
        finally:
            if checkpoint is not None:
                checkpoint.flush()
        return best, progress.history


def _roll_back(state, last_valid):
    step, n_rollbacks = state.progress.step, state.n_rollbacks + 1
    if n_rollbacks > _MAX_ROLLBACKS:
        raise FloatingPointError(
            f"losses or weights were beyond all reason by step {step}, also after going back {_MAX_ROLLBACKS} times "
            "and halving the learning rate each time"
        )
    state.restore(*last_valid)
    state.set_rollbacks(n_rollbacks)


@torch.no_grad()
def _draw_shown(average, n_images, seed, index):
    """Return images that the average draws at this moment, and leave it as it is.

    Parameters
    ----------
    average : torch.nn.Module
        The averaged generator.
    n_images, seed : int
        Number of images, and seed of the noise.
    index : int or None
        Class of a class-conditional generator.
    """
    network, index = copy.deepcopy(average), () if index is None else (index,)  # each batch moves its statistics
    stream = random_stream(next(network.parameters()).device, seed)
    with own_modes(stream.device), torch.no_grad():
        # whole batches, so that an image does not depend on how many are asked for
        images = [
            network(draw_noise(network, _SHOWN_BATCH_SIZE, stream), *index)
            for _ in range(max(1, -(-n_images // _SHOWN_BATCH_SIZE)))
        ]
    return torch.cat(images)[:n_images]
