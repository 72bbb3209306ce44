"""Named data sets and folders of image files, as arrays of images, labels and groups, and back to files."""

import lazy_loader

# Names are loaded when they are used, so that a command can list files before torch is there: see __init__.pyi.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
