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
.. [6] T. Karras et al., "Training Generative Adversarial Networks with Limited Data", NeurIPS 2020.
   https://arxiv.org/abs/2006.06676 (ADA)
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


class AdaptiveAugmentation:
    """Change each image with a probability that follows how sure the discriminator is of real ones [6]_.

    Every 50 steps the probability rises if the mean sign of the logits of real images is above `target`, and falls if
    it is below. Also a penalty, for `train_gan` calls that with the discriminator before each step.

    Parameters
    ----------
    change : callable
        Differentiable change of a batch of images.
    target : float
        Mean sign of the logits of real images, in [-1, 1].
    images_to_one : int
        Real images seen while the probability rises from 0 to 1.
    """

    def __init__(self, change, target=0.6, images_to_one=20_000):
        self.change, self.target, self.images_to_one = change, target, images_to_one
        self.probability, self._signs, self._is_real, self._hook = 0.0, [], False, None

    def __call__(self, images):
        """Change some images."""
        if self.probability == 0:
            return images
        chosen = torch.rand(len(images), 1, 1, 1, device=images.device) < self.probability
        return torch.where(chosen, self.change(images), images)

    def penalty(self, discriminator, real, step):
        """Listen to the discriminator, and move the probability."""
        if self._hook is None:
            self._hook = discriminator.register_forward_hook(self._listen)
        self._is_real = True  # the next images that it sees
        if step % 50 == 0 and self._signs:
            is_too_sure = torch.stack(self._signs).mean().item() > self.target
            move = 50 * len(real) / self.images_to_one * (1 if is_too_sure else -1)
            self.probability = min(1.0, max(0.0, self.probability + move))
            self._signs.clear()

    def _listen(self, discriminator, images, logits):
        if self._is_real:
            self._signs.append(logits.detach().sign().mean())
        self._is_real = False
