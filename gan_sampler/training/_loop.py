"""The training loop."""

import copy
import math
import time

import torch

from ._draw import freeze
from ._losses import discriminator_loss, generator_loss

_REPORT_EVERY = 50  # steps between two reads of the losses; each read waits for the device


def train_gan(
    generator,
    discriminator,
    images,
    *,
    n_steps,
    max_time=None,
    batch_size=32,
    learning_rate=2e-4,
    beta_1=0.5,
    ema_decay=0.999,
    report=None,
):
    """Train a generator against a discriminator, and return the average of the generators passed on the way.

    Parameters
    ----------
    generator : torch.nn.Module
        Maps noise of shape (n, latent_dim) to images; trained in place.
    discriminator : torch.nn.Module
        Maps images to logits of shape (n,); trained in place.
    images : torch.Tensor of shape (n_images, channels, height, width)
        Real images in [-1, 1], on the networks' device.
    n_steps : int
        Number of updates of the generator.
    max_time : float or None, default=None
        Seconds after which training ends even if steps are left.
    batch_size : int, default=32
        Images of either kind in one update; all images where there are fewer.
    learning_rate : float, default=2e-4
        Step size of Adam for both players.
    beta_1 : float, default=0.5
        Adam's decay of the first moment.
    ema_decay : float, default=0.999
        Decay of the average of the generator's weights. Early averages forget faster, as (1 + step) / (10 + step).
    report : callable, default=None
        Called at each report interval with a dict of ``step``, ``seconds``, ``loss_discriminator`` and
        ``loss_generator``, means over the interval.

    Returns
    -------
    average : torch.nn.Module
        The averaged generator, frozen.
    history : list of dict
        What `report` was given.

    Raises
    ------
    FloatingPointError
        When a loss is no longer finite.
    """
    average = copy.deepcopy(generator)
    adam = {"lr": learning_rate, "betas": (beta_1, 0.999)}
    generator_adam = torch.optim.Adam(generator.parameters(), **adam)
    discriminator_adam = torch.optim.Adam(discriminator.parameters(), **adam)
    batches = _shuffled_batches(images, batch_size)
    losses = torch.zeros(2, device=images.device)  # summed there, so that a step does not wait for the device
    history, last_report, start = [], 0, time.monotonic()

    generator.train(), discriminator.train()
    for step in range(1, n_steps + 1):
        real = next(batches)
        noise = torch.randn(len(real), generator.latent_dim, device=images.device)
        fake = generator(noise)

        discriminator_adam.zero_grad()
        loss_discriminator = discriminator_loss(discriminator(real), discriminator(fake.detach()))
        loss_discriminator.backward()
        discriminator_adam.step()

        generator_adam.zero_grad()
        discriminator.requires_grad_(False)  # the generator's loss must not cost gradients that nobody uses
        loss_generator = generator_loss(discriminator(fake))
        loss_generator.backward()
        discriminator.requires_grad_(True)
        generator_adam.step()

        _move_average(average, generator, min(ema_decay, (1 + step) / (10 + step)))
        losses += torch.stack([loss_discriminator.detach(), loss_generator.detach()])
        seconds = time.monotonic() - start
        out_of_time = max_time is not None and seconds >= max_time
        if step % _REPORT_EVERY == 0 or step == n_steps or out_of_time:
            history.append(_record(step, seconds, (losses / (step - last_report)).tolist()))
            losses.zero_()
            last_report = step
            if report is not None:
                report(history[-1])
        if out_of_time:
            break
    return freeze(average), history


def _shuffled_batches(images, batch_size):
    """Yield batches for ever: each pass is in new random order, and images beyond the last full batch sit it out."""
    batch_size = min(batch_size, len(images))
    while True:
        order = torch.randperm(len(images), device=images.device)
        for start in range(0, len(images) - batch_size + 1, batch_size):
            yield images[order[start : start + batch_size]]


@torch.no_grad()
def _move_average(average, generator, decay):
    torch._foreach_lerp_(list(average.parameters()), list(generator.parameters()), 1 - decay)


def _record(step, seconds, losses):
    loss_discriminator, loss_generator = losses
    if not (math.isfinite(loss_discriminator) and math.isfinite(loss_generator)):
        raise FloatingPointError(
            f"the losses were no longer finite by step {step} (discriminator {loss_discriminator}, generator "
            f"{loss_generator})"
        )
    return {
        "step": step,
        "seconds": seconds,
        "loss_discriminator": loss_discriminator,
        "loss_generator": loss_generator,
    }
