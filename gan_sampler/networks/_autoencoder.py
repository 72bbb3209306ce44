"""The encoder of an autoencoder whose decoder is DCGAN's generator."""

from torch import nn
from torch.nn.functional import pad

from ._dcgan import Discriminator


class Encoder(Discriminator):
    """Images to codes: the convolutions of `Discriminator`, followed by a dense layer of `latent_dim` outputs.

    Parameters
    ----------
    image_shape : tuple of (int, int, int)
        Channels, height and width of the images.
    latent_dim : int
        Length of a code.
    **options
        ``base_channels``, ``channels`` and ``norm`` of `Discriminator`.
    """

    def __init__(self, image_shape, *, latent_dim, **options):
        super().__init__(image_shape, **options)
        self.layers[-1] = nn.Linear(self.layers[-1].in_features, latent_dim)

    def forward(self, images):
        """Encode images: (n, channels, height, width) in [-1, 1] to (n, latent_dim)."""
        return self.layers(pad(images, self.padding))
