"""Losses of the two players, as functions of logits.

References
----------
.. [1] I. Goodfellow et al., "Generative Adversarial Nets", NeurIPS 2014. https://arxiv.org/abs/1406.2661
"""

from torch.nn.functional import softplus


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
