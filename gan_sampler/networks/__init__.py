"""Networks for images of any size; how they are trained is in `gan_sampler.training`."""

from ._conditional import ConditionalGenerator, GeneratorOfOneClass, ProjectionDiscriminator
from ._dcgan import Discriminator, Generator
from ._vision_aided import VisionAidedDiscriminator

__all__ = [
    "ConditionalGenerator",
    "Discriminator",
    "Generator",
    "GeneratorOfOneClass",
    "ProjectionDiscriminator",
    "VisionAidedDiscriminator",
]
