"""Evaluation of over-sampling: comparison of samplers with several classifiers on held-out images."""

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
