"""Ways to train a GAN that were tried for the defaults: what did not win stands here, not in the package.

References
----------
.. [1] H.-Y. Tseng et al., "Regularizing Generative Adversarial Networks under Limited Data", CVPR 2021.
   https://arxiv.org/abs/2104.03310 (LeCam)
.. [2] L. Mescheder, A. Geiger, S. Nowozin, "Which Training Methods for GANs do actually Converge?", ICML 2018.
   https://arxiv.org/abs/1801.04406 (R1), every few steps as in Karras et al., CVPR 2020,
   https://arxiv.org/abs/1912.04958
.. [3] S. Zhao et al., "Differentiable Augmentation for Data-Efficient GAN Training", NeurIPS 2020.
   https://arxiv.org/abs/2006.10738
.. [4] T. Karras et al., "Training Generative Adversarial Networks with Limited Data", NeurIPS 2020.
   https://arxiv.org/abs/2006.06676 (ADA)
.. [5] T. Karras, S. Laine, T. Aila, "A Style-Based Generator Architecture for Generative Adversarial Networks",
   CVPR 2019. https://arxiv.org/abs/1812.04948 (StyleGAN)
.. [6] B. Liu et al., "Towards Faster and Stabilized GAN Training for High-fidelity Few-shot Image Synthesis", ICLR
   2021. https://arxiv.org/abs/2101.04775 (FastGAN)
"""

import torch
from torch import nn
from torch.nn.functional import leaky_relu, softplus

from gan_sampler.networks import Generator
from gan_sampler.training import LOSSES, Loss


def lecam(weight=0.3, decay=0.99):
    """Return the non-saturating loss with LeCam's penalty: logits of a kind to the average of the other kind's [1]_."""
    means = {}

    def discriminator(real, fake):
        for name, logits in (("real", real), ("fake", fake)):
            mean = logits.detach().mean()
            means[name] = decay * means.get(name, mean) + (1 - decay) * mean
        penalty = (real - means["fake"]).square().mean() + (fake - means["real"]).square().mean()
        return softplus(-real).mean() + softplus(fake).mean() + weight * penalty

    return Loss(f"lecam_{weight}_{decay}", discriminator, LOSSES["non_saturating"].generator)


def lazy_r1(gamma, every=16):
    """Return a penalty on the gradients of the logits of real images, every 16th step with 16 times the weight [2]_."""

    def penalty(discriminator, real, step):
        if step % every:
            return
        real = real.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(discriminator(real).sum(), real, create_graph=True)
        (every * gamma / 2 * gradient.square().sum((1, 2, 3)).mean()).backward()

    return penalty


def cutout(images, share=1 / 2, *, generator=None):
    """Set a rectangle of `share` of the sides, anywhere in each image, to 0."""
    n, _, height, width = images.shape

    def inside(side):
        length = round(side * share)
        low, high = -(length // 2), side - length // 2 + 1
        start = torch.randint(low, high, (n, 1), generator=generator, device=images.device)
        place = torch.arange(side, device=images.device)
        return (place >= start) & (place < start + length)  # (n, side)

    hole = inside(height)[:, None, :, None] & inside(width)[:, None, None, :]
    return images.masked_fill(hole, 0.0)


def in_turn(*changes):
    """Return a function that applies `changes` one after another."""

    def augment(images, *, generator=None):
        for change in changes:
            images = change(images, generator=generator)
        return images

    return augment


class AdaptiveAugmentation:
    """Change each image with a probability that follows how confident the discriminator is of real ones [4]_.

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

    def __call__(self, images, *, generator=None):
        """Change some images."""
        if self.probability == 0:
            return images
        chosen = torch.rand(len(images), 1, 1, 1, generator=generator, device=images.device) < self.probability
        return torch.where(chosen, self.change(images, generator=generator), images)

    def penalty(self, discriminator, real, step):
        """Watch the discriminator, and move the probability."""
        if self._hook is None:
            self._hook = discriminator.register_forward_hook(self._record)
        self._is_real = True  # the next images that it sees
        if step % 50 == 0 and self._signs:
            is_too_confident = torch.stack(self._signs).mean().item() > self.target
            move = 50 * len(real) / self.images_to_one * (1 if is_too_confident else -1)
            self.probability = min(1.0, max(0.0, self.probability + move))
            self._signs.clear()

    def _record(self, discriminator, images, logits):
        if self._is_real:
            self._signs.append(logits.detach().sign().mean())
        self._is_real = False


class StyleGenerator(nn.Module):
    """A compact generator after StyleGAN [5]_: a learnt constant, styles at every resolution, noise at every pixel.

    The convolutions are those of `Generator`, with instance normalisation in place of batch normalisation.

    Parameters
    ----------
    image_shape : tuple of (int, int, int)
        Channels, height and width of the images.
    latent_dim : int, default=100
        Length of the noise vector, and of what the mapping network makes of it.
    n_mapping : int, default=3
        Layers of the mapping network.
    **options
        As `Generator` takes them.
    """

    def __init__(self, image_shape, *, latent_dim=100, n_mapping=3, **options):
        super().__init__()
        self.latent_dim = latent_dim
        like = Generator(image_shape, latent_dim=latent_dim, **options)
        first = like.layers[1]  # unflattens the dense layer's output to the deepest map
        self.constant = nn.Parameter(torch.randn(1, *first.unflattened_size))
        self.mapping = nn.Sequential(
            *(part for _ in range(n_mapping) for part in (nn.Linear(latent_dim, latent_dim), nn.LeakyReLU(0.2)))
        )
        for layer in self.mapping[::2]:
            nn.init.kaiming_normal_(layer.weight, a=0.2)
        self.convolutions = nn.ModuleList(layer for layer in like.layers[3:] if hasattr(layer, "stride"))
        widths = [self.constant.shape[1], *(layer.out_channels for layer in self.convolutions)]
        self.styles = nn.ModuleList(nn.Linear(latent_dim, 2 * width) for width in widths)
        self.strengths = nn.ParameterList(torch.zeros(width, 1, 1) for width in widths)
        self.like = nn.ModuleList([like.to_image])
        self.height, self.width = image_shape[1:]

    def forward(self, noise):
        """Draw images: (n, latent_dim) to (n, channels, height, width) in [-1, 1]."""
        latent = self.mapping(noise * noise.square().mean(1, keepdim=True).add(1e-8).rsqrt())
        features = self._style(self.constant.expand(len(noise), -1, -1, -1), latent, 0)
        for i, convolution in enumerate(self.convolutions, start=1):
            features = self._style(convolution(features), latent, i)
        canvas = self.like[0](features)
        top, left = (canvas.shape[2] - self.height) // 2, (canvas.shape[3] - self.width) // 2
        return canvas[:, :, top : top + self.height, left : left + self.width]

    def _style(self, features, latent, i):
        n, _, height, width = features.shape
        features = features + self.strengths[i] * torch.randn(n, 1, height, width, device=features.device)
        features = leaky_relu(features, 0.2)
        variance, mean = torch.var_mean(features, dim=(2, 3), keepdim=True)
        scale, shift = self.styles[i](latent)[:, :, None, None].chunk(2, dim=1)
        return (features - mean) * (variance + 1e-8).rsqrt() * (1 + scale) + shift


class SkipExcitedGenerator(Generator):
    """`Generator` whose small maps scale the channels of those eight times as large, after FastGAN [6]_."""

    _EACH = 3  # doublings between a small map and the one that it scales

    def __init__(self, image_shape, **options):
        super().__init__(image_shape, **options)
        self.ends = [i for i, layer in enumerate(self.layers) if isinstance(layer, nn.LeakyReLU)]
        norms = [layer for layer in self.layers if isinstance(layer, nn.BatchNorm2d)]
        widths = [norm.num_features for norm in norms]
        self.gates = nn.ModuleList(
            nn.Sequential(
                nn.AdaptiveAvgPool2d(4),
                nn.Conv2d(small, large, 4),
                nn.LeakyReLU(0.1),
                nn.Conv2d(large, large, 1),
                nn.Sigmoid(),
            )
            for small, large in zip(widths, widths[self._EACH :], strict=False)
        )

    def forward(self, noise):
        """Draw images: (n, latent_dim) to (n, channels, height, width) in [-1, 1]."""
        maps, features = [], noise
        for i, layer in enumerate(self.layers):
            features = layer(features)
            if i in self.ends:
                if len(maps) >= self._EACH:
                    features = features * 2 * self.gates[len(maps) - self._EACH](maps[len(maps) - self._EACH])
                maps.append(features)
        canvas = self.to_image(features)
        top, left = (canvas.shape[2] - self.height) // 2, (canvas.shape[3] - self.width) // 2
        return canvas[:, :, top : top + self.height, left : left + self.width]
