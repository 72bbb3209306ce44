"""What the command line does with folders of images: balance, train, sample, measure, tell."""

import lazy_loader

# Names are loaded when they are used: a command line is checked before torch is there.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
