r"""Gradients of one update of discriminator and generator.

Ordinary training passes the generated images through the discriminator twice, once for each network's loss. Often one
pass is enough. Let image i be :math:`x_i`, its logit :math:`l_i = D(x_i)`, and the two losses functions of the logits,
:math:`L_D(l)` and :math:`L_G(l)`. By the chain rule

.. math::

    \frac{\partial L_D}{\partial x_i} = \sum_j \frac{\partial L_D}{\partial l_j} \frac{\partial l_j}{\partial x_i}
    \qquad\text{and}\qquad
    \frac{\partial L_G}{\partial x_i} = \sum_j \frac{\partial L_G}{\partial l_j} \frac{\partial l_j}{\partial x_i} .

Backpropagation is linear in the upstream gradient, here :math:`s_j = \partial L_D / \partial l_j` and
:math:`t_j = \partial L_G / \partial l_j`. Where the discriminator does not couple the images of a batch, only
:math:`\partial l_i / \partial x_i` is left of both sums, so the generator's gradient is the discriminator's times one
factor for each image:

.. math::

    \frac{\partial L_G}{\partial x_i} = \frac{t_i}{s_i} \, \frac{\partial L_D}{\partial x_i} .

So one backward pass from the logits, with upstream gradients :math:`s_i`, gives the gradients of the discriminator's
weights and of the images; the latter, times :math:`t_i / s_i`, are passed on to the generator. This requires one logit
for each image, no coupling, and :math:`s_i > 0`, which `Loss.one_pass` states. For the non-saturating loss with n
images :math:`s_i = \sigma(l_i) / n` and :math:`t_i = (\sigma(l_i) - 1) / n`. In floating point :math:`\sigma(l_i)`
underflows for very negative logits, so :math:`s_i` has a lower limit, in the backward pass and in the ratio: it cancels
at the images, and changes the discriminator's gradient by no more than this limit.

Both gradients are those of the discriminator before its update; with two passes the generator's is taken after it.
"""

import copy

import torch
from torch.nn.modules.dropout import _DropoutNd

from ..runtime import mixed_precision, random_stream, training_context

# Lower limit of the upstream gradient. It is far below the epsilon of Adam, 1e-8, so that it does not change the update
# of the discriminator, and far above the smallest normal number of float32 and bfloat16, 1e-38, so that the product
# with other gradients does not underflow.
_SMALLEST_UPSTREAM = 1e-20
_N_PROBED = 4  # images; also the usual group size of minibatch standard deviation layers


def train_mode(network):
    """Put a network in training mode, except for modules that the user has frozen.

    A module and its submodules are frozen if it has parameters and none of them requires a gradient; in a network in
    training mode, modules in eval mode are frozen, too. A network in eval mode as a whole has most likely been loaded.
    Frozen batch normalisation uses its running statistics, and does not couple the images of a batch.

    Parameters
    ----------
    network : torch.nn.Module
        Changed in place.

    Returns
    -------
    network : torch.nn.Module
        The same object.
    """
    frozen = fixed_modules(network)
    if network.training:
        frozen |= {module for module in network.modules() if not module.training}
    elif _is_fixed(network):  # a generator that is finished
        frozen = set(network.modules())
    network.train()
    for module in frozen:
        module.training = False  # train(False) would also change its submodules
    return network


def fixed_modules(network):
    """Return the modules of a network that have parameters, none of which requires a gradient, and their submodules.

    Empty where no parameter of the whole network requires a gradient, as in an average: there a part that the user has
    frozen looks like the others.

    Returns
    -------
    modules : set of torch.nn.Module
    """
    if _is_fixed(network):
        return set()
    return {part for module in network.modules() if _is_fixed(module) for part in module.modules()}


def _is_fixed(module):
    parameters = list(module.parameters())
    return bool(parameters) and not any(parameter.requires_grad for parameter in parameters)


def allows_one_pass(discriminator, images, *, loss, index=None, precision="auto"):
    """Whether `one_pass_gradients` is exact for this loss and this discriminator.

    A backward pass of a few random images through a copy of the discriminator, without dropout, tests whether the logit
    of an image depends on other images. Neither the discriminator nor a random state is changed.

    Parameters
    ----------
    discriminator : torch.nn.Module
        Images to logits; tested as it is after `train_mode`.
    images : torch.Tensor of shape (n_images, channels, height, width)
        Real images; only their shape and device are used.
    loss : Loss
        Loss of both networks.
    index : int or None, default=None
        Index of a class, for class-conditional discriminators.
    precision : {"auto", "float32", "bfloat16"}, default="auto"
        Precision of the networks, as in `gan_sampler.runtime.mixed_precision`.

    Returns
    -------
    allowed : bool
        False for discriminators with several logits for each image, such as patch discriminators.
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
        logits = _logits(network, probe.requires_grad_(), index, precision)
        return logits.numel() == len(probe) and not _are_coupled(logits.flatten(), probe)


def _are_coupled(logits, images):
    """Whether the logit of an image has a nonzero gradient with respect to another image."""
    for i, logit in enumerate(logits):
        (gradient,) = torch.autograd.grad(logit, images, retain_graph=True, allow_unused=True, materialize_grads=True)
        gradient[i] = 0
        if gradient.count_nonzero():  # NaN counts as nonzero
            return True
    return False


def normalised(images):
    """Return images as floats in [-1, 1]; uint8 images are in 0..255."""
    return images.to(torch.float32) / 127.5 - 1 if images.dtype == torch.uint8 else images


def generate(generator, noise, index=None, *, precision="auto"):
    """Generate images in the precision of training; bfloat16 images are returned as float32.

    The last layer of a user's generator may compute in bfloat16; augmentation, logits and loss shall not.
    """
    with mixed_precision(noise.device, precision):
        images = generator(noise) if index is None else generator(noise, index)
    return images.float() if images.dtype is torch.bfloat16 else images


def one_pass_gradients(generator, discriminator, real, noise, *, loss, augment, index=None, precision="auto"):
    """Set the gradients of both networks from a single pass of the generated images through the discriminator.

    They equal those of two passes through the discriminator before its update, if `allows_one_pass`.

    Parameters
    ----------
    generator, discriminator : torch.nn.Module
        The networks, without gradients.
    real : torch.Tensor of shape (n, channels, height, width)
        Real images in [-1, 1].
    noise : torch.Tensor of shape (n, latent_dim)
        Input of the generator.
    loss : Loss
        Loss of both networks.
    augment : callable
        Differentiable augmentation of a batch, applied to each image independently.
    index : int or None, default=None
        Class of the real images and of those to be generated, for class-conditional networks.
    precision : {"auto", "float32", "bfloat16"}, default="auto"
        Precision of the networks, as in `gan_sampler.runtime.mixed_precision`.

    Returns
    -------
    losses : torch.Tensor of shape (2,)
        Losses of discriminator and generator, detached.
    """
    fake = generate(generator, noise, index, precision=precision)
    leaf = fake.detach().requires_grad_()
    real_logits = _logits(discriminator, augment(real), index, precision)
    fake_logits = _logits(discriminator, augment(leaf), index, precision)
    if fake_logits.numel() != len(fake):
        raise ValueError(
            "discriminator must give one logit for each image where one pass is to serve both networks; got logits of "
            f"shape {tuple(fake_logits.shape)} for {len(fake)} images. Use two passes, as allows_one_pass advises."
        )

    # A separate graph for the losses, whose leaves are the logits.
    on_real, on_fake = real_logits.detach().requires_grad_(), fake_logits.detach().requires_grad_()
    loss_discriminator, loss_generator = loss.discriminator(on_real, on_fake), loss.generator(on_fake)
    real_upstream, fake_upstream = torch.autograd.grad(loss_discriminator, (on_real, on_fake))
    (generator_upstream,) = torch.autograd.grad(loss_generator, on_fake)
    fake_upstream = fake_upstream.clamp_min(_SMALLEST_UPSTREAM)

    torch.autograd.backward((real_logits, fake_logits), (real_upstream, fake_upstream))
    ratio = generator_upstream / fake_upstream  # one factor for each image
    fake.backward(leaf.grad * ratio.view(-1, 1, 1, 1))
    return torch.stack([loss_discriminator.detach(), loss_generator.detach()])


def discriminator_gradients(discriminator, real, fake, *, loss, augment, index=None, precision="auto"):
    """Set the discriminator's gradients on real and generated images, and return its loss."""
    real_logits = _logits(discriminator, augment(real), index, precision)
    fake_logits = _logits(discriminator, augment(fake.detach()), index, precision)
    value = loss.discriminator(real_logits, fake_logits)
    value.backward()
    return value.detach()


def generator_gradients(discriminator, fake, *, loss, augment, index=None, precision="auto"):
    """Set the gradients of the generator that made `fake`, and return its loss; the discriminator gets none."""
    value = loss.generator(_logits(discriminator, augment(fake), index, precision))
    (gradient,) = torch.autograd.grad(value, fake)  # gradients of the weights would take a third of the pass
    fake.backward(gradient)
    return value.detach()


def _logits(discriminator, images, index, precision):
    with mixed_precision(images.device, precision):
        logits = discriminator(images) if index is None else discriminator(images, index)
    return logits.to(images.dtype)
