"""The training loop."""

import time

import torch
from torch.nn import Identity

from ._draw import freeze
from ._losses import NON_SATURATING
from ._state import TrainingState
from ._step import (
    couples_images,
    discriminator_gradients,
    generate,
    generator_gradients,
    normalised,
    one_pass_gradients,
)

REPORT_EVERY = 50  # steps between two looks at losses and images; each look waits for the device
_MAX_ROLLBACKS = 3


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
    loss=NON_SATURATING,
    augment=None,
    penalty=None,
    score=None,
    resume_from=None,
    report=None,
):
    """Train a generator against a discriminator, and return the best average of the generators passed on the way.

    Where the discriminator does not couple the images of a batch, one pass of the generated images through it serves
    both players; else each player has its own. A weight that is no longer finite, or a mean loss beyond all reason
    (10,000), takes training back to the last report, with half the learning rate, at most three times.

    Parameters
    ----------
    generator : torch.nn.Module
        Maps noise of shape (n, latent_dim) to images; trained in place.
    discriminator : torch.nn.Module
        Maps images to logits of shape (n,); trained in place.
    images : torch.Tensor of shape (n_images, channels, height, width)
        Real images on the networks' device: uint8 in 0..255, or floats in [-1, 1].
    classes : torch.Tensor of shape (n_images,), int64, or None, default=None
        Class of each image, 0, 1 and so on, for players that take the index of a class as second argument. The classes
        then take turns, a batch of each.
    n_steps : int
        Number of updates of the generator.
    max_time : float or None, default=None
        Seconds after which training ends even if steps are left; those before `resume_from` count.
    n_iter_no_change : int or None, default=None
        Number of reports in a row without a better score after which training ends.
    batch_size : int, default=32
        Images of either kind in one update; all images where there are fewer.
    learning_rate : float, default=2e-4
        Step size of Adam for both players.
    discriminator_learning_rate : float or None, default=None
        Another step size for the discriminator.
    beta_1 : float, default=0.5
        Adam's decay of the first moment.
    ema_decay : float, default=0.999
        Decay of the average of the generator's weights. Early averages forget faster, as (1 + step) / (10 + step).
    loss : Loss, default=NON_SATURATING
        What the players minimise.
    augment : callable or None, default=None
        Differentiable change of a batch of images before the discriminator sees it, real or generated.
    penalty : callable or None, default=None
        Called as ``penalty(discriminator, real, step)`` before the discriminator's update; adds to its gradients.
    score : callable or None, default=None
        Called with images of the average at each report; returns a dict with ``score``, the lower the better, and
        whatever else shall stand in the history. Has an attribute ``n_images`` and, for players that are told classes,
        ``classes``, the indices of those it wants images of, in a list. None keeps the last average.
    resume_from : tuple of (dict, dict) or None, default=None
        What `report` was given, to go on from there.
    report : callable or None, default=None
        Called as ``report(record, state)`` every 50 steps and at the end, with the newest entry of the history and
        what `resume_from` takes.

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
    """
    for network in (generator, discriminator):
        network.to(memory_format=torch.channels_last)
    rates = learning_rate, discriminator_learning_rate or learning_rate
    state = TrainingState(
        generator, discriminator, learning_rates=rates, beta_1=beta_1, n_images=len(images), classes=classes
    )
    augment = augment or Identity()
    n_classes = None if classes is None else len(classes.unique())
    one_pass = loss.one_pass and not couples_images(discriminator)
    probe = state.draw_noise(score.n_images if score else 0)  # the same at each report, so that scores compare
    if resume_from is not None:
        state.restore(*resume_from)
    good = state.capture()
    progress = state.progress
    start = time.monotonic() - progress["seconds"]

    generator.train(), discriminator.train()
    while not _is_over(progress, n_steps, max_time, n_iter_no_change):
        progress["step"] += 1
        index = None if classes is None else progress["step"] % n_classes
        rows = state.next_rows(batch_size, index or 0)
        real, noise = normalised(images[rows]), state.draw_noise(len(rows))
        how = {"loss": loss, "augment": augment, "index": index}

        discriminator.zero_grad(), generator.zero_grad()
        if penalty is not None:
            penalty(discriminator, real, progress["step"])
        if one_pass:
            losses = one_pass_gradients(generator, discriminator, real, noise, **how)
            state.discriminator_adam.step()
        else:
            fake = generate(generator, noise, index)
            loss_discriminator = discriminator_gradients(discriminator, real, fake, **how)
            state.discriminator_adam.step()
            loss_generator = generator_gradients(discriminator, fake, **how)
            losses = torch.stack([loss_discriminator, loss_generator])
        state.generator_adam.step()
        state.move_average(ema_decay)

        state.losses += losses
        progress["seconds"] = time.monotonic() - start
        if progress["step"] % REPORT_EVERY and not _is_over(progress, n_steps, max_time, n_iter_no_change):
            continue
        if not state.is_sound():
            _roll_back(state, good)
            continue
        record = state.look(probe, score)
        good = state.capture()
        if report is not None:
            report(record, good)
    return freeze(state.best, n_classes), progress["history"]


def _is_over(progress, n_steps, max_time, n_iter_no_change):
    if progress["step"] >= n_steps or (max_time is not None and progress["seconds"] >= max_time):
        return True
    if n_iter_no_change is None:
        return False
    return sum(record["step"] > progress["best_step"] for record in progress["history"]) >= n_iter_no_change


def _roll_back(state, good):
    step, n_rollbacks = state.progress["step"], state.progress["n_rollbacks"] + 1
    if n_rollbacks > _MAX_ROLLBACKS:
        raise FloatingPointError(
            f"losses or weights were beyond all reason by step {step}, also after going back {_MAX_ROLLBACKS} times "
            "and halving the learning rate each time"
        )
    state.restore(*good)
    state.progress["n_rollbacks"] = n_rollbacks
    state.set_learning_rates()
