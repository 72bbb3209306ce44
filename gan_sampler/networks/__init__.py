"""Networks of any image size, each from one loop; nothing here trains."""

from ._conditional import ConditionalGenerator, GeneratorOfOneClass, ProjectionDiscriminator
from ._dcgan import Discriminator, Generator

__all__ = [
    "ConditionalGenerator",
    "Discriminator",
    "Generator",
    "GeneratorOfOneClass",
    "ProjectionDiscriminator",
]
