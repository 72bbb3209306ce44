"""Losses of the two players, as functions of logits.

References
----------
.. [1] I. Goodfellow et al., "Generative Adversarial Nets", NeurIPS 2014. https://arxiv.org/abs/1406.2661
"""

from collections.abc import Callable
from typing import NamedTuple

from torch.nn.functional import softplus


class Loss(NamedTuple):
    """What the two players minimise.

    Parameters
    ----------
    discriminator : callable
        Takes the logits of real and of generated images, each of shape (n,), and returns a scalar.
    generator : callable
        Takes the logits of generated images and returns a scalar.
    one_pass : bool
        Whether the discriminator's loss falls strictly with every logit of a generated image. Then one pass through
        the discriminator can serve both players.
    """

    discriminator: Callable
    generator: Callable
    one_pass: bool


def discriminator_loss(real_logits, fake_logits):
    """Binary cross-entropy of telling real from fake, ``-log s(real) - log(1 - s(fake))`` (equation 1 of [1]_).

    Parameters
    ----------
    real_logits, fake_logits : torch.Tensor of shape (n,)
        What the discriminator says of real and of generated images.

    Returns
    -------
    loss : torch.Tensor of shape ()
        Sum of the two means; ``2 log 2`` where nothing can be told apart.
    """
    return softplus(-real_logits).mean() + softplus(fake_logits).mean()


def generator_loss(fake_logits):
    """Non-saturating loss ``-log s(fake)`` (section 3 of [1]_).

    Parameters
    ----------
    fake_logits : torch.Tensor of shape (n,)
        What the discriminator says of generated images.

    Returns
    -------
    loss : torch.Tensor of shape ()
        Mean over the images; ``log 2`` where nothing can be told apart.
    """
    return softplus(-fake_logits).mean()


NON_SATURATING = Loss(discriminator_loss, generator_loss, one_pass=True)
