"""How close the images of a generator are to real images, fast enough to compute at every report.

References
----------
.. [1] M. Heusel et al., "GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash Equilibrium",
   NeurIPS 2017. https://arxiv.org/abs/1706.08500
"""

import math

import torch

from .._snapshots import is_unusable
from ._step import normalised

_MAX_COMPONENTS, _IMAGES_PER_COMPONENT = 64, 8  # components estimated from fewer images are mostly noise
_MAX_IMAGES, _MAX_VALUES = 1000, 2**25  # of the real images, to limit time and memory
_PIXELS_AT_ONCE = 4096
_SMALLEST_SHARE = 1e-6  # lower limit of a component's variance, relative to that of the first
_N_SPLITS = 3  # random splits of the real images into halves, which are scored against each other
_LEAST_SPLIT = 4  # images; with fewer, a half has no variance
_ROUNDING = (2 / 255) ** 2 / 12  # variance of rounding to uint8, added so that no ratio is 0 / 0
_SPECTRA_AT_ONCE, _SPECTRA_SCORED = 64, 128  # images; more generated ones hardly change the result
# Variances of a mean spectrum that are attributed to chance; more than one, as frequencies are correlated.
_CHANCE_VARIANCES = 4


class PixelFrechetDistance:
    """Fréchet distance (equation 6 of [1]_) to real images, in whitened principal components of their pixels.

    FID is computed in the features of a network trained on photographs; this distance in the first principal components
    of the real images, one for every eight images and at most 64, scaled to unit variance. It takes milliseconds, needs
    no weights, and ranks the generators of one training as KID does; docs/training.md has the figures.

    The distance is divided by the mean distance between random halves of the real images. So a score of about 1 or less
    is as good as unseen real images, for every class. Fewer than four images cannot be split; then the divisor is the
    number of components, which is the distance of images that all equal the mean image.

    Pixel noise lies outside these components and does not change the score. It changes the power spectrum, as do blur
    and the periodic patterns of transposed convolutions; the spectral distance compares the spectra.

    Parameters
    ----------
    images : torch.Tensor of shape (n, channels, height, width)
        Real images, at least two: uint8 in 0..255, or floats in [-1, 1].

    Raises
    ------
    ValueError
        When there are fewer than two images, or they are not finite.
    """

    n_images = 256  # number of images to score

    @torch.no_grad()
    def __init__(self, images):
        if images.ndim != 4 or len(images) < 2:
            raise ValueError(
                "images must hold at least two real images, in shape (n, channels, height, width), to score others by; "
                f"got shape {tuple(images.shape)}. Add images."
            )
        n_images = min(len(images), _MAX_IMAGES, max(_MAX_COMPONENTS + 1, _MAX_VALUES // images[0].numel()))
        rows = torch.linspace(0, len(images) - 1, n_images, dtype=torch.float64).long().to(images.device)
        real = normalised(images[rows]).float().cpu()
        pixels = real.flatten(1)
        mean = pixels.mean(0)
        pixels = pixels - mean
        # The inner products of images give the components without a pixels x pixels covariance matrix. In float64,
        # because the smallest components are lost in float32.
        products = sum(part @ part.T for part in map(torch.Tensor.double, pixels.split(_PIXELS_AT_ONCE, dim=1)))
        if not products.isfinite().all():
            raise ValueError(
                "images must be finite, uint8 in 0..255 or floats in [-1, 1]; got values that are not, or too large "
                "to square. Mend them, or scale them to [-1, 1]."
            )
        self._variance = products.trace().item() / n_images
        spectra = _log_spectra(real)
        self._n_real, self._spectrum = n_images, spectra.mean(0).to(images.device)
        self._spectral_variance = spectra.var(0)[1:].mean().item()
        n_components = max(1, min(_MAX_COMPONENTS, n_images // _IMAGES_PER_COMPONENT))
        weights = _whitening(products, n_components)
        self._unit = _distance_between_halves(products, n_components)
        whitening = pixels.T @ weights.float()  # (n_pixels, n_components)
        self._mean, self._whitening = mean.to(images.device), whitening.to(images.device)

    @torch.no_grad()
    def __call__(self, images):
        """Score images.

        Parameters
        ----------
        images : torch.Tensor of shape (n, channels, height, width)
            At least two images in [-1, 1], of the shape and on the device of the real images.

        Returns
        -------
        record : dict of str to float
            ``score``: squared distance, divided by that of unseen real images; about 1 for real images, the lower the
            better, infinite if an image is not finite. ``variance_ratio``: variance of the images, divided by that of
            the real ones; 1 if they vary as much, 0 if they are identical. ``spectral_distance``: root mean square,
            over frequencies, of the difference of log power from the real images, minus its expectation by chance; 0
            for real images, the lower the better. `is_unusable` uses all three.
        """
        images = images.float()
        pixels = images.flatten(1) - self._mean
        components = (pixels @ self._whitening).cpu().double()
        mean = components.mean(0)
        components -= mean
        covariance = components.T @ components / (len(images) - 1)
        variance = pixels.var(0, correction=0).sum().item()
        if not (math.isfinite(variance) and covariance.isfinite().all()):
            return {"score": math.inf, "variance_ratio": 0.0, "spectral_distance": math.inf}
        rounding = _ROUNDING * pixels.shape[1]
        return {
            "score": _distance(mean, covariance).item() / self._unit,
            "variance_ratio": (variance + rounding) / (self._variance + rounding),
            "spectral_distance": self._spectral_distance(images[:_SPECTRA_SCORED]),
        }

    def _spectral_distance(self, images):
        by_chance = _CHANCE_VARIANCES * self._spectral_variance * (1 / self._n_real + 1 / len(images))
        difference = (_log_spectra(images).mean(0) - self._spectrum)[1:]  # without the mean brightness
        return math.sqrt(max(0.0, difference.square().mean().item() - by_chance))


class PixelFrechetDistanceByClass:
    """`PixelFrechetDistance` of several classes, for class-conditional generators.

    Parameters
    ----------
    images : torch.Tensor of shape (n, channels, height, width)
        Real images, as `PixelFrechetDistance` takes them.
    classes : torch.Tensor of shape (n,), int64
        Class of each image.
    scored : list of int
        Classes to score.
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
            Images of each of `classes`.

        Returns
        -------
        record : dict of str to float
            ``score``, the mean over the classes; ``n_unusable``, the number of classes with unusable images; and for
            each class, by its index, ``score_0``, ``variance_ratio_0``, ``spectral_distance_0`` and so on, which
            `of_class` extracts.
        """
        records = [distance(drawn) for distance, drawn in zip(self._distances, images, strict=True)]
        of_each = {
            f"{name}_{index}": value
            for index, record in zip(self.classes, records, strict=True)
            for name, value in record.items()
        }
        mean = sum(record["score"] for record in records) / len(records)
        return {"score": mean, "n_unusable": sum(map(is_unusable, records)), **of_each}


def of_class(record, index):
    """Return the values of one class from a record of `PixelFrechetDistanceByClass`, without the index in their names.

    Parameters
    ----------
    record : dict of str to float
        The record, or an entry of a history.
    index : int
        Index of the class.

    Returns
    -------
    record : dict of str to float
        ``score``, ``variance_ratio`` and ``spectral_distance``.
    """
    return {name: record[f"{name}_{index}"] for name in ("score", "variance_ratio", "spectral_distance")}


def _distance(mean, covariance):
    """Return the squared Fréchet distance to mean 0 and identity covariance, which commutes with every covariance."""
    spread = torch.linalg.eigvalsh(covariance).clamp_min(0).sqrt()
    return mean.square().sum() + (spread - 1).square().sum()


def _whitening(products, n_components):
    """Return the whitened components as linear combinations of the centred images, (n_images, n_components).

    Parameters
    ----------
    products : torch.Tensor of shape (n_images, n_images)
        Inner products of the images.
    n_components : int
        Number of components.
    """
    squares, left = torch.linalg.eigh(products)
    squares, left = squares[-n_components:], left[:, -n_components:]
    squares = squares.clamp_min(_SMALLEST_SHARE * squares[-1]).clamp_min(1e-12)
    return left * (len(products) ** 0.5 / squares)


def _distance_between_halves(products, n_components):
    """Return the mean distance between random halves of the images, computed from inner products."""
    n_images = len(products)
    if n_images < _LEAST_SPLIT:
        return float(n_components)
    by_chance = 4 * n_components / n_images  # expectation from the two means alone, as a lower limit for few images
    # A separate generator, so that no other random state changes.
    generator, distances = torch.Generator().manual_seed(0), []
    for _ in range(_N_SPLITS):
        order = torch.randperm(n_images, generator=generator)
        halves = order[: n_images // 2], order[n_images // 2 :]
        distances += [_distance_to_unseen(products, n_components, *pair) for pair in (halves, halves[::-1])]
    return max(by_chance, sum(distances) / len(distances))


def _distance_to_unseen(products, n_components, known, unseen):
    own, across = products[known][:, known], products[unseen][:, known]
    across = across - across.mean(1, keepdim=True) - own.mean(0) + own.mean()
    own = own - own.mean(0) - own.mean(1, keepdim=True) + own.mean()
    components = across @ _whitening(own, n_components)
    mean = components.mean(0)
    components = components - mean
    return _distance(mean, components.T @ components / (len(unseen) - 1)).item()


def _log_spectra(images):
    """Return the log power spectrum of each image, (n, n_frequencies); logs, so that no single image dominates."""
    return torch.cat(
        [
            torch.fft.rfft2(part).abs().square().div(part[0, 0].numel()).add(_ROUNDING).log().mean(1).flatten(1)
            for part in images.split(_SPECTRA_AT_ONCE)
        ]
    )
