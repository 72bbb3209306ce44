"""Drawing images from a trained generator."""

import torch
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils import parametrize

from ..runtime import own_modes, random_stream
from ._state import draw_noise
from ._step import train_mode

_SETTLING_BATCHES, _SETTLING_BATCH_SIZE = 32, 64


@torch.no_grad()
def freeze(generator, n_classes=None, stream=None):
    """Prepare a generator for drawing and pickling.

    The running statistics of batch normalisation do not belong to averaged weights, so they are computed again on
    noise ("standing statistics", Brock et al. 2019, https://arxiv.org/abs/1809.11096, appendix).

    Parameters
    ----------
    generator : torch.nn.Module
        Changed in place: afterwards in eval mode and without gradients.
    n_classes : int or None, default=None
        Number of classes of a class-conditional generator.
    stream : torch.Generator or None, default=None
        Source of the noise, on the generator's device; None is a new generator seeded from torch's default one.

    Returns
    -------
    generator : torch.nn.Module
        The same object.
    """
    train_mode(generator)
    norms = [module for module in generator.modules() if isinstance(module, _BatchNorm) and module.training]
    is_spectral = any(parametrize.is_parametrized(module) for module in generator.modules())
    if not norms and not is_spectral:  # power iterations of spectral normalisation converge in these passes too
        return finish(generator)
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # torch then computes the cumulative average
    stream = random_stream(_device(generator)) if stream is None else stream
    for index in [()] if n_classes is None else [(index,) for index in range(n_classes)]:
        for _ in range(_SETTLING_BATCHES):
            generator(draw_noise(generator, _SETTLING_BATCH_SIZE, stream), *index)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    return finish(generator)


def finish(generator):
    """Prepare a generator for inference: plain tensors, eval mode and no gradients.

    Parametrisations, such as spectral normalisation, are folded into what they compute, because parametrised modules do
    not pickle.

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
        if parametrize.is_parametrized(module):
            for name in list(module.parametrizations):
                parametrize.remove_parametrizations(module, name)
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
        Source of the noise, on the generator's device; None is a new generator seeded from torch's default one.
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
        yield images  # outside the context, so that the caller has its own modes


def _device(network):
    return next(network.parameters()).device
