"""From a trained generator to images."""

import torch
from torch import nn
from torch.nn.utils import parametrize

from ..runtime import own_modes, random_stream
from ._state import draw_noise
from ._step import train_mode

_SETTLING_BATCHES, _SETTLING_BATCH_SIZE = 32, 64


@torch.no_grad()
def freeze(generator, n_classes=None, stream=None):
    """Make a generator ready to draw from and to be pickled.

    An average of generators has running statistics of no network that ever ran, so they are measured anew on
    noise ("standing statistics", Brock et al. 2019, https://arxiv.org/abs/1809.11096, appendix).

    Parameters
    ----------
    generator : torch.nn.Module
        Changed in place: in eval mode and without gradients afterwards.
    n_classes : int or None, default=None
        Number of classes of a class-conditional generator.
    stream : torch.Generator or None, default=None
        What the noise is drawn from, on the generator's device; None stands for one whose seed is drawn from torch's
        own stream.

    Returns
    -------
    generator : torch.nn.Module
        The same object.
    """
    train_mode(generator)
    norms = [module for module in generator.modules() if isinstance(module, nn.BatchNorm2d) and module.training]
    is_spectral = any(parametrize.is_parametrized(module) for module in generator.modules())
    if not norms and not is_spectral:  # whose power iterations settle too
        return finish(generator)
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # torch's word for a cumulative average
    stream = random_stream(_device(generator)) if stream is None else stream
    for index in [()] if n_classes is None else [(index,) for index in range(n_classes)]:
        for _ in range(_SETTLING_BATCHES):
            generator(draw_noise(generator, _SETTLING_BATCH_SIZE, stream), *index)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    return finish(generator)


def finish(generator):
    """Make a generator one that is only drawn from: plain weights, eval mode and no gradients.

    Spectral normalisation is folded into the weights, because parametrised modules do not pickle.

    Parameters
    ----------
    generator : torch.nn.Module
        Changed in place.

    Returns
    -------
    generator : torch.nn.Module
        The same object.
    """
    for module in list(generator.modules()):
        if parametrize.is_parametrized(module, "weight"):
            parametrize.remove_parametrizations(module, "weight")
    return generator.eval().requires_grad_(False)


def draw(generator, n_images, stream=None, batch_size=64):
    """Draw images in batches that add up to exactly `n_images`.

    Parameters
    ----------
    generator : torch.nn.Module
        A frozen generator with attribute ``latent_dim``.
    n_images : int
        Number of images.
    stream : torch.Generator or None, default=None
        What the noise is drawn from, on the generator's device; None stands for one whose seed is drawn from torch's
        own stream.
    batch_size : int, default=64
        Largest number of images drawn together.

    Yields
    ------
    images : torch.Tensor of shape (n, channels, height, width)
        At most `batch_size` images in [-1, 1], on the generator's device.
    """
    stream = random_stream(_device(generator)) if stream is None else stream
    for start in range(0, n_images, batch_size):
        noise = draw_noise(generator, min(batch_size, n_images - start), stream)
        with own_modes(stream.device), torch.inference_mode():
            images = generator(noise)
        yield images  # in the modes of who takes it


def _device(network):
    return next(network.parameters()).device
