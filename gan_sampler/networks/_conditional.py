"""DCGAN's networks, told which class an image is to be, or is, of.

References
----------
.. [1] M. Mirza, S. Osindero, "Conditional Generative Adversarial Nets", 2014. https://arxiv.org/abs/1411.1784
.. [2] T. Miyato, M. Koyama, "cGANs with Projection Discriminator", ICLR 2018. https://arxiv.org/abs/1802.05637
"""

import copy

import torch
from torch import nn

from ._dcgan import Discriminator, Generator


class ConditionalGenerator(nn.Module):
    """Noise and classes to images: `Generator` on noise to which a vector of the class is joined [1]_.

    Parameters
    ----------
    image_shape : tuple of (int, int, int)
        Channels, height and width of the images.
    n_classes : int
        Number of classes.
    latent_dim : int, default=100
        Length of a noise vector, and of the vector of a class.
    **how
        As `Generator` takes them.
    """

    def __init__(self, image_shape, n_classes, *, latent_dim=100, **how):
        super().__init__()
        self.latent_dim = latent_dim
        self.class_vectors = nn.Embedding(n_classes, latent_dim)
        self.unconditional = Generator(image_shape, latent_dim=2 * latent_dim, **how)

    def forward(self, noise, classes):
        """Draw images.

        Parameters
        ----------
        noise : torch.Tensor of shape (n, latent_dim)
            Standard normal noise.
        classes : torch.Tensor of shape (n,), int64
            Indices of the classes.

        Returns
        -------
        images : torch.Tensor of shape (n, channels, height, width)
            Images in [-1, 1].
        """
        return self.unconditional(torch.cat([noise, self.class_vectors(classes)], dim=1))


class GeneratorOfOneClass(nn.Module):
    """A conditional generator whose class is fixed: noise to images.

    Parameters
    ----------
    generator : ConditionalGenerator
        Copied.
    index : int
        The class.
    """

    def __init__(self, generator, index):
        super().__init__()
        self.latent_dim = generator.latent_dim
        self.layers = copy.deepcopy(generator.unconditional)
        self.register_buffer("class_vector", generator.class_vectors.weight[index].detach().clone())

    def forward(self, noise):
        """Draw images of the class: (n, latent_dim) to (n, channels, height, width) in [-1, 1]."""
        return self.layers(torch.cat([noise, self.class_vector.expand(len(noise), -1)], dim=1))


class ProjectionDiscriminator(nn.Module):
    """Images and classes to logits: `Discriminator` plus the product of its features and a vector of the class [2]_.

    Parameters
    ----------
    image_shape : tuple of (int, int, int)
        Channels, height and width of the images.
    n_classes : int
        Number of classes.
    **how
        As `Discriminator` takes them.
    """

    def __init__(self, image_shape, n_classes, **how):
        super().__init__()
        self.unconditional = Discriminator(image_shape, **how)
        n_features = self.unconditional.layers[-1].in_features
        self.class_vectors = nn.Embedding(n_classes, n_features)
        nn.init.normal_(self.class_vectors.weight, 0.0, n_features**-0.5)  # so that both terms begin equally large

    def forward(self, images, classes):
        """Judge images.

        Parameters
        ----------
        images : torch.Tensor of shape (n, channels, height, width)
            Images in [-1, 1].
        classes : torch.Tensor of shape (n,), int64
            Indices of the classes that they are, or claim to be, of.

        Returns
        -------
        logits : torch.Tensor of shape (n,)
            Positive for images judged real and of their class.
        """
        features = self.unconditional.features(images)
        return self.unconditional.judge(features) + (features * self.class_vectors(classes)).sum(1)
