"""DCGAN's networks, conditional on the class of an image.

References
----------
.. [1] M. Mirza, S. Osindero, "Conditional Generative Adversarial Nets", 2014. https://arxiv.org/abs/1411.1784
.. [2] T. Miyato, M. Koyama, "cGANs with Projection Discriminator", ICLR 2018. https://arxiv.org/abs/1802.05637
.. [3] H. de Vries et al., "Modulating early visual processing by language", NeurIPS 2017.
   https://arxiv.org/abs/1707.00683 (conditional batch normalisation, there with shared statistics)
"""

import copy

import torch
from torch import nn

from ._dcgan import Discriminator, Generator


class ClassBatchNorm2d(nn.Module):
    """Batch normalisation with statistics and scales for each class [3]_, for batches of one class.

    If the classes shared statistics, their difference alone would give a batch the variance that batch normalisation
    asks for, and the generator could draw one image a class, whatever the noise.

    Parameters
    ----------
    norm : torch.nn.BatchNorm2d
        Copied for each class.
    n_classes : int
        Number of classes.
    """

    def __init__(self, norm, n_classes):
        super().__init__()
        self.of_class = nn.ModuleList(copy.deepcopy(norm) for _ in range(n_classes))
        self.index = 0  # class of the next batch

    def forward(self, features):
        """Normalise features of images of the class `index`."""
        return self.of_class[self.index](features)


class ConditionalGenerator(nn.Module):
    """Noise and a class to images: `Generator` on noise to which a vector of the class is joined [1]_.

    Parameters
    ----------
    image_shape : tuple of (int, int, int)
        Channels, height and width of the images.
    n_classes : int
        Number of classes.
    latent_dim : int, default=100
        Length of a noise vector, and of the vector of a class.
    **options
        As `Generator` takes them; its batch normalisation is that of each class.
    """

    def __init__(self, image_shape, n_classes, *, latent_dim=100, **options):
        super().__init__()
        self.latent_dim = latent_dim
        # Short beside the noise: as long as it, the vector would be a bias of a hundred weights, which learns a hundred
        # times as fast as others and drowns the noise.
        self.class_vectors = nn.Parameter(torch.randn(n_classes, latent_dim) / latent_dim)
        self.unconditional = Generator(image_shape, latent_dim=2 * latent_dim, **options)
        layers = self.unconditional.layers
        if options.get("norm", "batch") is None:  # the half of the input that is the class's is next to nothing
            nn.init.normal_(layers[0].weight, std=latent_dim**-0.5)
        for i, layer in enumerate(layers):
            if isinstance(layer, nn.BatchNorm2d):
                layers[i] = ClassBatchNorm2d(layer, n_classes)

    def forward(self, noise, index):
        """Draw images of one class.

        Parameters
        ----------
        noise : torch.Tensor of shape (n, latent_dim)
            Standard normal noise.
        index : int
            The class.

        Returns
        -------
        images : torch.Tensor of shape (n, channels, height, width)
            Images in [-1, 1].
        """
        for module in self.unconditional.layers:
            if isinstance(module, ClassBatchNorm2d):
                module.index = index
        return self.unconditional(torch.cat([noise, self.class_vectors[index].expand(len(noise), -1)], dim=1))


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
        for i, layer in enumerate(self.layers.layers):
            if isinstance(layer, ClassBatchNorm2d):
                self.layers.layers[i] = layer.of_class[index]
        self.register_buffer("class_vector", generator.class_vectors[index].detach().clone())

    def forward(self, noise):
        """Draw images of the class: (n, latent_dim) to (n, channels, height, width) in [-1, 1]."""
        return self.layers(torch.cat([noise, self.class_vector.expand(len(noise), -1)], dim=1))


class ProjectionDiscriminator(nn.Module):
    """Images and their class to logits: `Discriminator` plus the product of its features and the class's vector [2]_.

    Parameters
    ----------
    image_shape : tuple of (int, int, int)
        Channels, height and width of the images.
    n_classes : int
        Number of classes.
    **options
        As `Discriminator` takes them.
    """

    def __init__(self, image_shape, n_classes, **options):
        super().__init__()
        self.unconditional = Discriminator(image_shape, **options)
        n_features = self.unconditional.layers[-1].in_features
        # so large that both terms begin alike
        self.class_vectors = nn.Parameter(torch.randn(n_classes, n_features) * n_features**-0.5)

    def forward(self, images, index):
        """Return the logits of images.

        Parameters
        ----------
        images : torch.Tensor of shape (n, channels, height, width)
            Images in [-1, 1].
        index : int
            The class that they are, or claim to be, of.

        Returns
        -------
        logits : torch.Tensor of shape (n,)
            Positive for images taken to be real and of their class.
        """
        features = self.unconditional.features(images)
        return self.unconditional.logits(features) + features @ self.class_vectors[index]
