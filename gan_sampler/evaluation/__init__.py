"""Does over-sampling help? Samplers and classifiers compared on images that nothing was trained on."""

import lazy_loader

_load, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)


def __getattr__(name):
    try:
        return _load(name)
    except ModuleNotFoundError as exc:
        raise ImportError(
            f"gan_sampler.evaluation.{name} needs the package {exc.name!r}, which is not installed: "
            'pip install "gan-sampler[evaluation]".'
        ) from exc
