"""How like the real images are those of a generator: cheap enough to ask at every report.

References
----------
.. [1] M. Heusel et al., "GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash Equilibrium",
   NeurIPS 2017. https://arxiv.org/abs/1706.08500
"""

import math

import torch

from ._step import normalised

_MAX_COMPONENTS = 64
_MAX_IMAGES, _MAX_VALUES = 1000, 2**25  # of the real images, to bound time and memory
_PIXELS_AT_ONCE = 4096
_SMALLEST_SHARE = 1e-6  # of the first component's variance; components with less are taken to have as much


class PixelFrechetDistance:
    """Fréchet distance (equation 6 of [1]_) to real images, in whitened principal components of their pixels.

    What FID is in the features of a network that was trained on photographs, this is in the first 64 principal
    components of the real images, scaled to variance one, so that fine detail counts as much as overall brightness.
    It takes a millisecond, needs no weights, and ranks the generators of one training as KID does; docs/training.md
    has the figures. It compares images of one class at one size, not those of different data sets.

    Parameters
    ----------
    images : torch.Tensor of shape (n, channels, height, width)
        Real images, at least two: uint8 in 0..255, or floats in [-1, 1].
    """

    n_images = 256  # how many images a score shall be taken of

    @torch.no_grad()
    def __init__(self, images):
        n_images = min(len(images), _MAX_IMAGES, max(_MAX_COMPONENTS + 1, _MAX_VALUES // images[0].numel()))
        rows = torch.linspace(0, len(images) - 1, n_images, device=images.device).long()
        pixels = normalised(images[rows]).flatten(1).cpu()
        mean = pixels.mean(0)
        pixels -= mean
        # Inner products between images give the components without a matrix of pixels by pixels; in float64, because
        # the smallest are lost beside the largest otherwise.
        products = sum(part @ part.T for part in map(torch.Tensor.double, pixels.split(_PIXELS_AT_ONCE, dim=1)))
        self._variance = products.trace().item() / n_images
        squares, left = torch.linalg.eigh(products)
        n_components = min(_MAX_COMPONENTS, n_images - 1)
        squares, left = squares[-n_components:], left[:, -n_components:]
        squares = squares.clamp_min(_SMALLEST_SHARE * squares[-1]).clamp_min(1e-12)
        whitening = pixels.T @ (left * (n_images**0.5 / squares)).float()  # (n_pixels, n_components)
        self._mean, self._whitening = mean.to(images.device), whitening.to(images.device)

    @torch.no_grad()
    def __call__(self, images):
        """Score images.

        Parameters
        ----------
        images : torch.Tensor of shape (n, channels, height, width)
            At least two images in [-1, 1], of the shape given before and on the same device.

        Returns
        -------
        record : dict of str to float
            ``score``, the squared distance, the lower the better, infinite where an image is not finite; and
            ``variance_ratio``, the images' variance over that of the real ones, 1 where they differ as much from each
            other and 0 where they are all alike.
        """
        pixels = images.flatten(1) - self._mean
        variance = pixels.var(0, correction=0).sum().item()
        if not math.isfinite(variance):
            return {"score": math.inf, "variance_ratio": 0.0}
        components = (pixels @ self._whitening).cpu().double()
        mean = components.mean(0)
        components -= mean
        spread = torch.linalg.eigvalsh(components.T @ components / (len(images) - 1)).clamp_min(0).sqrt()
        # Of real images the covariance is the identity, which commutes with every other.
        score = mean.square().sum() + (spread - 1).square().sum()
        return {"score": score.item(), "variance_ratio": variance / max(self._variance, 1e-12)}


class PixelFrechetDistanceByClass:
    """`PixelFrechetDistance` of several classes, for generators that are told them.

    Parameters
    ----------
    images : torch.Tensor of shape (n, channels, height, width)
        Real images, as `PixelFrechetDistance` takes them.
    classes : torch.Tensor of shape (n,), int64
        Class of each.
    scored : list of int
        The classes that count.
    """

    n_images = PixelFrechetDistance.n_images  # of each class

    def __init__(self, images, classes, scored):
        self.classes = scored
        self._distances = [PixelFrechetDistance(images[classes == index]) for index in scored]

    def __call__(self, images):
        """Score images.

        Parameters
        ----------
        images : list of torch.Tensor of shape (n, channels, height, width)
            Of each of `classes`.

        Returns
        -------
        record : dict of str to float
            The mean ``score`` of the classes, and ``score_0``, ``variance_ratio_0`` and so on of each by its index.
        """
        records = [distance(drawn) for distance, drawn in zip(self._distances, images, strict=True)]
        mean = sum(record["score"] for record in records) / len(records)
        by_index = {
            f"{name}_{index}": value
            for index, record in zip(self.classes, records, strict=True)
            for name, value in record.items()
        }
        return {"score": mean, **by_index}


def is_unusable(record):
    return record["score"] > 1e9
