"""Differentiable augmentation of the discriminator's input, so that it does not memorise a small class.

References
----------
.. [1] S. Zhao et al., "Differentiable Augmentation for Data-Efficient GAN Training", NeurIPS 2020.
   https://arxiv.org/abs/2006.10738
"""

import torch
from torch.nn.functional import pad


def translate(images, share=1 / 8, *, generator=None):
    """Shift each image by up to `share` of its sides [1]_; pixels without a source are 0, mid-grey.

    Parameters
    ----------
    images : torch.Tensor of shape (n, channels, height, width)
        Images in [-1, 1].
    share : float, default=1/8
        Largest shift, in [0, 1).
    generator : torch.Generator or None, default=None
        Source of random numbers, on the device of the images; None is torch's default generator.

    Returns
    -------
    images : torch.Tensor of the same shape
    """
    n, _, height, width = images.shape
    reach_y, reach_x = round(height * share), round(width * share)
    rows = torch.arange(height, device=images.device) + _random_integers(
        n, 2 * reach_y, images, generator
    )  # (n, height)
    columns = torch.arange(width, device=images.device) + _random_integers(n, 2 * reach_x, images, generator)
    padded = pad(images, (reach_x, reach_x, reach_y, reach_y)).permute(0, 2, 3, 1)
    image = torch.arange(n, device=images.device)
    return padded[image[:, None, None], rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def brighten(images, reach=0.1, *, generator=None):
    """Add a random number between ``-reach`` and ``reach`` to each image.

    Parameters
    ----------
    images : torch.Tensor of shape (n, channels, height, width)
        Images in [-1, 1]; the result is not clipped, to keep its gradient.
    reach : float, default=0.1
        Largest change.
    generator : torch.Generator or None, default=None
        Source of random numbers, on the device of the images; None is torch's default generator.

    Returns
    -------
    images : torch.Tensor of the same shape
    """
    return images + _random_signed(images, generator) * reach


def stretch_contrast(images, reach=0.2, *, generator=None):
    """Multiply the deviations of an image from its mean by a random factor from ``1 - reach`` to ``1 + reach``.

    Parameters
    ----------
    images : torch.Tensor of shape (n, channels, height, width)
        Images in [-1, 1]; the result is not clipped.
    reach : float, default=0.2
        Largest relative change, in [0, 1).
    generator : torch.Generator or None, default=None
        Source of random numbers, on the device of the images; None is torch's default generator.

    Returns
    -------
    images : torch.Tensor of the same shape
    """
    mean = images.mean((1, 2, 3), keepdim=True)
    return (images - mean) * (1 + _random_signed(images, generator) * reach) + mean


def augment_mildly(images, *, generator=None):
    """Shift by up to an eighth, change contrast by up to a fifth and brightness by up to a twentieth of the range.

    Much weaker than in [1]_: strong changes of brightness made grey images worse.
    """
    return brighten(stretch_contrast(translate(images, generator=generator), generator=generator), generator=generator)


def _random_integers(n, largest, images, generator):
    return torch.randint(0, largest + 1, (n, 1), generator=generator, device=images.device)


def _random_signed(images, generator):
    shape = len(images), 1, 1, 1
    return 2 * torch.rand(shape, generator=generator, dtype=images.dtype, device=images.device) - 1
