"""Does over-sampling help? Samplers and classifiers compared on images that nothing was trained on."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
