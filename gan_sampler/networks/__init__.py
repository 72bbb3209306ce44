"""Networks of any image size, each from one loop; nothing here trains."""

from ._dcgan import Discriminator, Generator

__all__ = ["Discriminator", "Generator"]
