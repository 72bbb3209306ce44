"""One update of both players, whose gradients come from one pass through the discriminator where that can be."""

import torch
from torch.nn.modules.batchnorm import _BatchNorm

from ..runtime import mixed_precision

_SMALLEST_SLOPE = 1e-30  # of a loss in a logit; below it float32 has nothing left to rescale


def couples_images(network):
    """Whether what the network says of one image depends on the others of its batch, as under batch normalisation."""
    return any(isinstance(module, _BatchNorm) for module in network.modules())


def normalised(images):
    """Return images as floats in [-1, 1]; those of uint8 are taken to be in 0..255."""
    return images.to(torch.float32) / 127.5 - 1 if images.dtype == torch.uint8 else images


def generate(generator, noise, index=None):
    """Draw images in the precision that training takes on the device."""
    with mixed_precision(noise.device):
        return generator(noise) if index is None else generator(noise, index)


def one_pass_gradients(generator, discriminator, real, noise, *, loss, augment, index=None):
    """Set the gradients of both players from a single pass of the generated images through the discriminator.

    What flows back to an image is linear in what flows into its logit. So the generator's gradient is the
    discriminator's times the ratio of the two losses' slopes in that logit, image by image. This needs a
    discriminator that does not couple the images of a batch, and ``loss.one_pass``. Both players see the
    discriminator as it was before the update. Where an image's logit is below -69 the discriminator's slope is too
    small to be scaled up again, and the generator learns less from that image than it would in two passes.

    Parameters
    ----------
    generator, discriminator : torch.nn.Module
        The players, without gradients.
    real : torch.Tensor of shape (n, channels, height, width)
        Real images in [-1, 1].
    noise : torch.Tensor of shape (n, latent_dim)
        What the generator draws from.
    loss : Loss
        What the players minimise.
    augment : callable
        Differentiable change of images before the discriminator sees them.
    index : int or None, default=None
        Class of the real images and of those to be generated, for players that are told.

    Returns
    -------
    losses : torch.Tensor of shape (2,)
        The discriminator's and the generator's, without gradients.
    """
    fake = generate(generator, noise, index)
    seen = fake.detach().requires_grad_()
    real_logits = _judge(discriminator, augment(real), index)
    fake_logits = _judge(discriminator, augment(seen), index)

    # The losses on a graph of their own, which ends at the logits.
    on_real, on_fake = real_logits.detach().requires_grad_(), fake_logits.detach().requires_grad_()
    loss_discriminator, loss_generator = loss.discriminator(on_real, on_fake), loss.generator(on_fake)
    real_slope, fake_slope = torch.autograd.grad(loss_discriminator, (on_real, on_fake))
    (wanted_slope,) = torch.autograd.grad(loss_generator, on_fake)

    torch.autograd.backward((real_logits, fake_logits), (real_slope, fake_slope))
    ratio = wanted_slope / fake_slope.clamp_min(_SMALLEST_SLOPE)  # (n,)
    fake.backward(seen.grad * ratio.view(-1, 1, 1, 1))
    return torch.stack([loss_discriminator.detach(), loss_generator.detach()])


def discriminator_gradients(discriminator, real, fake, *, loss, augment, index=None):
    """Set the discriminator's gradients on real and generated images, and return its loss."""
    real_logits = _judge(discriminator, augment(real), index)
    value = loss.discriminator(real_logits, _judge(discriminator, augment(fake.detach()), index))
    value.backward()
    return value.detach()


def generator_gradients(discriminator, fake, *, loss, augment, index=None):
    """Set the gradients of the generator that made `fake`, and return its loss; the discriminator gets none."""
    discriminator.requires_grad_(False)  # gradients that nobody uses cost a third of the pass
    value = loss.generator(_judge(discriminator, augment(fake), index))
    value.backward()
    discriminator.requires_grad_(True)
    return value.detach()


def _judge(discriminator, images, index):
    with mixed_precision(images.device):
        logits = discriminator(images) if index is None else discriminator(images, index)
    return logits.to(images.dtype)
