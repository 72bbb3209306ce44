r"""Gradients of one update of discriminator and generator.

Ordinary training passes the generated images through the discriminator twice, once for each network's loss. Often one
pass is enough. Let image i be :math:`x_i`, its logit :math:`l_i = D(x_i)`, and the two losses functions of the logits,
:math:`L_D(l)` and :math:`L_G(l)`. By the chain rule

.. math::

    \frac{\partial L_D}{\partial x_i} = \sum_j \frac{\partial L_D}{\partial l_j} \frac{\partial l_j}{\partial x_i}
    \qquad\text{and}\qquad
    \frac{\partial L_G}{\partial x_i} = \sum_j \frac{\partial L_G}{\partial l_j} \frac{\partial l_j}{\partial x_i} .

Backpropagation is linear in the upstream gradient, the slopes :math:`s_j = \partial L_D / \partial l_j` and
:math:`t_j = \partial L_G / \partial l_j`. Where the discriminator does not couple the images of a batch, only
:math:`\partial l_i / \partial x_i` is left of either sum, so the generator's gradient is the discriminator's times a
number for each image:

.. math::

    \frac{\partial L_G}{\partial x_i} = \frac{t_i}{s_i} \, \frac{\partial L_D}{\partial x_i} .

One backward pass from the logits with slopes :math:`s_i` thus leaves the gradients of the discriminator's weights, and
at the images what, times :math:`t_i / s_i`, goes on into the generator. It takes one logit for each image, no coupling,
and :math:`s_i > 0`, which `Loss.one_pass` promises. For the non-saturating loss with n images
:math:`s_i = \sigma(l_i) / n` and :math:`t_i = (\sigma(l_i) - 1) / n`. In floating point :math:`\sigma(l_i)` is lost for
very negative logits, so that :math:`s_i` is kept above a floor, before the backward pass as in the ratio: it cancels at
the images, and moves the discriminator's gradient by no more than the floor.

Both networks see the discriminator as it was before the update; with two passes the generator sees it after that.
"""

import copy

import torch
from torch.nn.modules.dropout import _DropoutNd

from ..runtime import mixed_precision, random_stream, training_context

# Of a loss in a logit. Adam, whose epsilon is 1e-8, does not notice a gradient of this size in the discriminator, and
# float32 and bfloat16, whose smallest normal number is 1e-38, have 18 digits left below it for what becomes of it on
# the way to an image.
_SMALLEST_SLOPE = 1e-20
_N_PROBED = 4  # images; also the usual group of minibatch standard deviation


def train_mode(network):
    """Put a network in training mode, except for the modules that its user has frozen.

    A module in eval mode is frozen if the network as a whole is in training mode, for then somebody has put it there.
    A network that is in eval mode as a whole has most likely just been loaded: there a module is frozen, with all its
    parts, if it has parameters of which none requires a gradient. Batch normalisation that is frozen keeps its running
    statistics, and does not couple the images of a batch.

    Parameters
    ----------
    network : torch.nn.Module
        Changed in place.

    Returns
    -------
    network : torch.nn.Module
        The same object.
    """
    frozen = [module for module in network.modules() if not module.training]
    if not network.training:
        fixed = {part for module in frozen if _is_fixed(module) for part in module.modules()}
        frozen = [module for module in frozen if module in fixed]
    network.train()
    for module in frozen:
        module.training = False  # train(False) would reach into its parts, which may be in training mode
    return network


def _is_fixed(module):
    parameters = list(module.parameters())
    return bool(parameters) and not any(parameter.requires_grad for parameter in parameters)


def allows_one_pass(discriminator, images, *, loss, index=None):
    """Whether `one_pass_gradients` are right: by the loss, and by what a backward pass through the discriminator shows.

    The gradients of the logits of a few random images are looked at, in a copy of the discriminator whose dropout is
    off. Neither the discriminator nor a random stream is changed.

    Parameters
    ----------
    discriminator : torch.nn.Module
        Images to logits; `train_mode` decides which of its modules will be trained.
    images : torch.Tensor of shape (n_images, channels, height, width)
        Real images, of which only shape and device count.
    loss : Loss
        What the networks minimise.
    index : int or None, default=None
        A class, for class-conditional discriminators.

    Returns
    -------
    allowed : bool
        False too for discriminators with several logits an image, as those of patches.
    """
    if not loss.one_pass:
        return False
    network = train_mode(copy.deepcopy(discriminator))
    for module in network.modules():
        if isinstance(module, _DropoutNd):
            module.eval()
    dtype, device = normalised(images[:1]).dtype, images.device
    stream = random_stream(device, 0)
    with training_context(device, 0, [network]):
        probe = torch.randn(_N_PROBED, *images.shape[1:], dtype=dtype, device=device, generator=stream)
        logits = _logits(network, probe.requires_grad_(), index)
        return logits.numel() == len(probe) and not _are_coupled(logits.flatten(), probe)


def _are_coupled(logits, images):
    """Whether the logit of any image has a gradient in another image."""
    for i, logit in enumerate(logits):
        (slope,) = torch.autograd.grad(logit, images, retain_graph=True, allow_unused=True, materialize_grads=True)
        slope[i] = 0
        if slope.count_nonzero():  # also where it is no number
            return True
    return False


def normalised(images):
    """Return images as floats in [-1, 1]; those of uint8 are taken to be in 0..255."""
    return images.to(torch.float32) / 127.5 - 1 if images.dtype == torch.uint8 else images


def generate(generator, noise, index=None):
    """Draw images in the precision that training takes on the device."""
    with mixed_precision(noise.device):
        return generator(noise) if index is None else generator(noise, index)


def one_pass_gradients(generator, discriminator, real, noise, *, loss, augment, index=None):
    """Set the gradients of both networks from a single pass of the generated images through the discriminator.

    They are those of two passes, both through the discriminator as it was before the update, where `allows_one_pass`.

    Parameters
    ----------
    generator, discriminator : torch.nn.Module
        The networks, without gradients.
    real : torch.Tensor of shape (n, channels, height, width)
        Real images in [-1, 1].
    noise : torch.Tensor of shape (n, latent_dim)
        What the generator draws from.
    loss : Loss
        What the networks minimise.
    augment : callable
        Differentiable change of images, each by itself, before the discriminator sees them.
    index : int or None, default=None
        Class of the real images and of those to be generated, for class-conditional networks.

    Returns
    -------
    losses : torch.Tensor of shape (2,)
        The discriminator's and the generator's, without gradients.
    """
    fake = generate(generator, noise, index)
    seen = fake.detach().requires_grad_()
    real_logits = _logits(discriminator, augment(real), index)
    fake_logits = _logits(discriminator, augment(seen), index)
    if fake_logits.numel() != len(fake):
        raise ValueError(
            "discriminator must give one logit for each image where one pass is to serve both networks; got logits of "
            f"shape {tuple(fake_logits.shape)} for {len(fake)} images. Use two passes, as allows_one_pass advises."
        )

    # The losses on a graph of their own, which ends at the logits.
    on_real, on_fake = real_logits.detach().requires_grad_(), fake_logits.detach().requires_grad_()
    loss_discriminator, loss_generator = loss.discriminator(on_real, on_fake), loss.generator(on_fake)
    real_slope, fake_slope = torch.autograd.grad(loss_discriminator, (on_real, on_fake))
    (wanted_slope,) = torch.autograd.grad(loss_generator, on_fake)
    fake_slope = fake_slope.clamp_min(_SMALLEST_SLOPE)

    torch.autograd.backward((real_logits, fake_logits), (real_slope, fake_slope))
    ratio = wanted_slope / fake_slope  # one number an image
    fake.backward(seen.grad * ratio.view(-1, 1, 1, 1))
    return torch.stack([loss_discriminator.detach(), loss_generator.detach()])


def discriminator_gradients(discriminator, real, fake, *, loss, augment, index=None):
    """Set the discriminator's gradients on real and generated images, and return its loss."""
    real_logits = _logits(discriminator, augment(real), index)
    value = loss.discriminator(real_logits, _logits(discriminator, augment(fake.detach()), index))
    value.backward()
    return value.detach()


def generator_gradients(discriminator, fake, *, loss, augment, index=None):
    """Set the gradients of the generator that made `fake`, and return its loss; the discriminator gets none."""
    value = loss.generator(_logits(discriminator, augment(fake), index))
    (slope,) = torch.autograd.grad(value, fake)  # the discriminator's own gradients would cost a third of the pass
    fake.backward(slope)
    return value.detach()


def _logits(discriminator, images, index):
    with mixed_precision(images.device):
        logits = discriminator(images) if index is None else discriminator(images, index)
    return logits.to(images.dtype)
