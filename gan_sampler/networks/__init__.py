"""Networks of any image size, each from one loop; nothing here trains."""

from ._autoencoder import Encoder
from ._conditional import ConditionalGenerator, GeneratorOfOneClass, ProjectionDiscriminator
from ._dcgan import Discriminator, Generator
from ._translator import PatchDiscriminator, Translator

__all__ = [
    "ConditionalGenerator",
    "Discriminator",
    "Encoder",
    "Generator",
    "GeneratorOfOneClass",
    "PatchDiscriminator",
    "ProjectionDiscriminator",
    "Translator",
]
