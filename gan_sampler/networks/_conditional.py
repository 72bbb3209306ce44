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
    """Batch normalisation with separate statistics and scales for each class [3]_, for batches of one class.

    With shared statistics, the difference between the classes alone could give the batch its variance, and the
    generator could collapse to one image for each class.

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
        """Normalise the features of images of class `index`."""
        return self.of_class[self.index](features)


class ConditionalGenerator(nn.Module):
    """Noise and a class to images: `Generator` on the noise concatenated with a class embedding [1]_.

    Parameters
    ----------
    image_shape : tuple of (int, int, int)
        Channels, height and width of the images.
    n_classes : int
        Number of classes.
    latent_dim : int, default=100
        Length of a noise vector and of a class embedding.
    base_channels : int, default=32
        Channels of the last hidden map.
    channels : {"pyramid", "flat"}, default="pyramid"
        Whether the number of channels halves when the resolution doubles, or is `base_channels` everywhere.
    base_size : int, default=4
        Shorter side of the map that the noise is projected to, in pixels.
    norm : {"batch", "spectral"} or None, default="batch"
        Normalisation of all layers except the last; batch normalisation is separate for each class.
    """

    def __init__(
        self,
        image_shape,
        n_classes,
        *,
        latent_dim=100,
        base_channels=32,
        channels="pyramid",
        base_size=4,
        norm="batch",
    ):
        super().__init__()
        self.latent_dim = latent_dim
        # Small relative to the noise: an embedding of the same norm acts as a bias of latent_dim weights, which changes
        # latent_dim times as fast as others, so that the images hardly depend on the noise.
        self.class_embeddings = nn.Parameter(torch.randn(n_classes, latent_dim) / latent_dim)
        self.unconditional = Generator(
            image_shape,
            latent_dim=2 * latent_dim,
            base_channels=base_channels,
            channels=channels,
            base_size=base_size,
            norm=norm,
        )
        layers = self.unconditional.layers
        if norm is None:  # half of the input, the class embedding, is near zero
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
        return self.unconditional(torch.cat([noise, self.class_embeddings[index].expand(len(noise), -1)], dim=1))

    def of_class(self, index):
        """Return a copy that draws images of one class: a `GeneratorOfOneClass`."""
        return GeneratorOfOneClass(self, index)


class GeneratorOfOneClass(nn.Module):
    """A conditional generator with a fixed class: noise to images.

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
        self.register_buffer("class_embedding", generator.class_embeddings[index].detach().clone())

    def forward(self, noise):
        """Draw images of the class: (n, latent_dim) to (n, channels, height, width) in [-1, 1]."""
        return self.layers(torch.cat([noise, self.class_embedding.expand(len(noise), -1)], dim=1))


class ProjectionDiscriminator(nn.Module):
    """Images and their class to logits: `Discriminator` plus the inner product of features and class embedding [2]_.

    Parameters
    ----------
    image_shape : tuple of (int, int, int)
        Channels, height and width of the images.
    n_classes : int
        Number of classes.
    base_channels : int, default=32
        Channels after the first convolution.
    channels : {"pyramid", "flat"}, default="pyramid"
        Whether the number of channels doubles when the resolution halves, or is `base_channels` everywhere.
    norm : {"batch", "spectral"} or None, default=None
        Normalisation of the convolutions.
    dropout : float, default=0.0
        Dropout probability before the dense layer, in [0, 1).
    """

    def __init__(self, image_shape, n_classes, *, base_channels=32, channels="pyramid", norm=None, dropout=0.0):
        super().__init__()
        self.unconditional = Discriminator(
            image_shape, base_channels=base_channels, channels=channels, norm=norm, dropout=dropout
        )
        n_features = self.unconditional.layers[-1].in_features
        # so that both terms have about the same variance at the start
        self.class_embeddings = nn.Parameter(torch.randn(n_classes, n_features) * n_features**-0.5)

    def forward(self, images, index):
        """Return the logits of images.

        Parameters
        ----------
        images : torch.Tensor of shape (n, channels, height, width)
            Images in [-1, 1].
        index : int
            Class of real images, or class that images were generated for.

        Returns
        -------
        logits : torch.Tensor of shape (n,)
            Positive for images classified as real images of this class.
        """
        features = self.unconditional.features(images)
        embedding = self.class_embeddings[index]
        with torch.autocast(features.device.type, enabled=False):  # as in `Discriminator.logits`
            of_class = features.to(embedding.dtype) @ embedding
        return self.unconditional.logits(features) + of_class
