"""Ways to train a GAN that were tried for the defaults: what did not win stands here, not in the package.

References
----------
.. [1] J. H. Lim, J. C. Ye, "Geometric GAN", 2017. https://arxiv.org/abs/1705.02894 (hinge loss)
.. [2] X. Mao et al., "Least Squares Generative Adversarial Networks", ICCV 2017. https://arxiv.org/abs/1611.04076
.. [3] H.-Y. Tseng et al., "Regularizing Generative Adversarial Networks under Limited Data", CVPR 2021.
   https://arxiv.org/abs/2104.03310 (LeCam)
.. [4] L. Mescheder, A. Geiger, S. Nowozin, "Which Training Methods for GANs do actually Converge?", ICML 2018.
   https://arxiv.org/abs/1801.04406 (R1), every few steps as in Karras et al., CVPR 2020,
   https://arxiv.org/abs/1912.04958
.. [5] S. Zhao et al., "Differentiable Augmentation for Data-Efficient GAN Training", NeurIPS 2020.
   https://arxiv.org/abs/2006.10738
"""

import torch
from torch.nn.functional import relu, softplus

from gan_sampler.training import Loss

HINGE = Loss(
    lambda real, fake: relu(1 - real).mean() + relu(1 + fake).mean(),
    lambda fake: -fake.mean(),
    one_pass=False,
)

LEAST_SQUARES = Loss(
    lambda real, fake: 0.5 * ((real - 1).square().mean() + fake.square().mean()),
    lambda fake: 0.5 * (fake - 1).square().mean(),
    one_pass=False,
)


def lecam(weight=0.3, decay=0.99):
    """Return the non-saturating loss, with LeCam's pull of each kind's logits to the other kind's average [3]_."""
    means = {}

    def discriminator(real, fake):
        for name, logits in (("real", real), ("fake", fake)):
            mean = logits.detach().mean()
            means[name] = decay * means.get(name, mean) + (1 - decay) * mean
        pull = (real - means["fake"]).square().mean() + (fake - means["real"]).square().mean()
        return softplus(-real).mean() + softplus(fake).mean() + weight * pull

    return Loss(discriminator, lambda fake: softplus(-fake).mean(), one_pass=False)


def lazy_r1(gamma, every=16):
    """Return a penalty on the slope of the logits of real images, at every 16th step with 16 times the weight [4]_."""

    def penalty(discriminator, real, step):
        if step % every:
            return
        real = real.detach().requires_grad_()
        (slope,) = torch.autograd.grad(discriminator(real).sum(), real, create_graph=True)
        (every * gamma / 2 * slope.square().sum((1, 2, 3)).mean()).backward()

    return penalty


def cutout(images, share=1 / 2):
    """Set a rectangle of `share` of the sides, anywhere in each image, to 0."""
    n, _, height, width = images.shape

    def inside(side):
        length = round(side * share)
        start = torch.randint(-(length // 2), side - length // 2 + 1, (n, 1), device=images.device)
        place = torch.arange(side, device=images.device)
        return (place >= start) & (place < start + length)  # (n, side)

    hole = inside(height)[:, None, :, None] & inside(width)[:, None, None, :]
    return images.masked_fill(hole, 0.0)


def in_turn(*changes):
    """Return a function that applies `changes` one after another."""

    def augment(images):
        for change in changes:
            images = change(images)
        return images

    return augment
