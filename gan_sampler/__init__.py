"""GAN over-sampling of images behind imbalanced-learn's `fit_resample`, and an honest answer whether it helped."""

from importlib.metadata import version

import lazy_loader

__version__ = version("gan-sampler")

# Names are loaded when they are used: see __init__.pyi, which type checkers and editors read, too.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
__all__ = [*__all__, "__version__"]
