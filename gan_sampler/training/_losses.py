"""Losses of a discriminator and a generator, as functions of logits.

To add a loss, make a `Loss` and add it to `LOSSES`, or pass it directly.

References
----------
.. [1] I. Goodfellow et al., "Generative Adversarial Nets", NeurIPS 2014. https://arxiv.org/abs/1406.2661
.. [2] J. H. Lim, J. C. Ye, "Geometric GAN", 2017. https://arxiv.org/abs/1705.02894
.. [3] X. Mao et al., "Least Squares Generative Adversarial Networks", ICCV 2017. https://arxiv.org/abs/1611.04076
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch.nn.functional import relu, softplus

from ._identity import identity_of, name_of


@dataclass(frozen=True)
class Loss:
    """The losses that a discriminator and a generator minimise.

    Parameters
    ----------
    name : str
        Name in messages and checkpoints.
    discriminator : callable
        Takes the logits of real and of generated images and returns a scalar. They have the shape that the
        discriminator gives them: (n,), or with further axes, as (n, 1, h, w) of a patch discriminator. A mean over all
        of them takes any shape.
    generator : callable
        Takes the logits of generated images and returns a scalar.
    one_pass : bool, default=False
        Whether the derivative of the discriminator's loss with respect to the logit of each generated image is positive
        and depends only on this logit and the number of images. Then both networks can be updated from one pass of the
        generated images through the discriminator. `check_loss` tests this.
    """

    name: str
    discriminator: Callable
    generator: Callable
    one_pass: bool = False

    @property
    def identity(self):
        """Description that tells this loss from others in a checkpoint, with all constants, as plain values."""
        return {
            "name": self.name,
            "discriminator": identity_of(self.discriminator),
            "generator": identity_of(self.generator),
            "one_pass": self.one_pass,
        }


def discriminator_loss(real_logits, fake_logits):
    """Binary cross-entropy of real against generated images, ``-log s(real) - log(1 - s(fake))`` (equation 1 of [1]_).

    Parameters
    ----------
    real_logits, fake_logits : torch.Tensor of shape (n,)
        Logits of real and of generated images.

    Returns
    -------
    loss : torch.Tensor of shape ()
        Sum of the two means; ``2 log 2`` for logits of zero.
    """
    return softplus(-real_logits).mean() + softplus(fake_logits).mean()


def generator_loss(fake_logits):
    """Non-saturating loss ``-log s(fake)`` (section 3 of [1]_).

    Parameters
    ----------
    fake_logits : torch.Tensor of shape (n,)
        Logits of generated images.

    Returns
    -------
    loss : torch.Tensor of shape ()
        Mean over the images; ``log 2`` for logits of zero.
    """
    return softplus(-fake_logits).mean()


def hinge_discriminator_loss(real_logits, fake_logits):
    """Hinge loss ``max(0, 1 - real) + max(0, 1 + fake)`` [2]_: images beyond the margin have no gradient."""
    return relu(1 - real_logits).mean() + relu(1 + fake_logits).mean()


def hinge_generator_loss(fake_logits):
    """Return the negative mean logit of generated images [2]_."""
    return -fake_logits.mean()


def least_squares_discriminator_loss(real_logits, fake_logits):
    """Half the mean squared distances of real logits from 1 and of generated logits from 0 (0-1 coding of [3]_)."""
    return 0.5 * ((real_logits - 1).square().mean() + fake_logits.square().mean())


def least_squares_generator_loss(fake_logits):
    """Half the mean squared distance of generated logits from 1 (0-1 coding of [3]_)."""
    return 0.5 * (fake_logits - 1).square().mean()


NON_SATURATING = Loss("non_saturating", discriminator_loss, generator_loss, one_pass=True)

# Only the first allows one pass: the derivative of the hinge loss is 0 below -1, that of least squares negative below
# 0.
LOSSES = {
    loss.name: loss
    for loss in (
        NON_SATURATING,
        Loss("hinge", hinge_discriminator_loss, hinge_generator_loss),
        Loss("least_squares", least_squares_discriminator_loss, least_squares_generator_loss),
    )
}


def check_loss(loss, name="loss"):
    """Return a `Loss`, given itself, its name or its two functions.

    Parameters
    ----------
    loss : Loss, str or tuple of (callable, callable)
        A loss, a key of `LOSSES`, or the losses of discriminator and generator, each of which gets a pass of its own.
    name : str, default="loss"
        Name of the parameter, for messages.

    Returns
    -------
    loss : Loss

    Raises
    ------
    ValueError
        When it is none of these, or has ``one_pass=True`` although one pass would give wrong gradients.
    """
    found = LOSSES.get(loss) if isinstance(loss, str) else loss
    if isinstance(loss, tuple) and len(loss) == 2 and all(map(callable, loss)):
        found = Loss(" and ".join(name_of(function).rpartition(".")[2] for function in loss), *loss)
    if not isinstance(found, Loss):
        names = ", ".join(map(repr, LOSSES))
        raise ValueError(
            f"{name} must be one of {names}, a gan_sampler.training.Loss, or a tuple of two functions, the losses of "
            f"discriminator and generator; got {loss!r}."
        )
    if found.one_pass:
        _check_one_pass(found, name)
    return found


def _check_one_pass(loss, name):
    """Raise an error unless the derivatives of the discriminator's loss allow one pass, tested on a grid of logits."""
    grid = torch.linspace(-30, 30, 13, dtype=torch.float64, device="cpu")
    derivatives, with_other_logits = (_derivatives(loss, grid, others) for others in (-50.0, 60.0))
    worst = derivatives.argmin()
    if not derivatives[worst] > 0:  # also where it is no number
        fault = f"has the derivative {derivatives[worst]:.3g} at the logit {grid[worst]:.3g}"
    elif not torch.allclose(derivatives, with_other_logits, rtol=1e-6, atol=0):
        fault = "has derivatives that depend on the other logits"
    else:
        return
    raise ValueError(
        f"{name} may have one_pass=True only if the discriminator's loss increases strictly with the logit of "
        f"each generated image, independently of the other logits; that of {loss.name!r} {fault}. Set one_pass=False."
    )


def _derivatives(loss, logits, others):
    """Return the derivative of the discriminator's loss in each generated logit, in a batch with logits `others`."""
    with torch.inference_mode(False), torch.enable_grad():
        fake = torch.cat([logits, torch.full_like(logits, others)]).requires_grad_()
        (derivatives,) = torch.autograd.grad(loss.discriminator(torch.full_like(fake, others), fake), fake)
    return derivatives[: len(logits)]
