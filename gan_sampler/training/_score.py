"""How like the real images are those of a generator: cheap enough to ask at every report.

References
----------
.. [1] M. Heusel et al., "GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash Equilibrium",
   NeurIPS 2017. https://arxiv.org/abs/1706.08500
"""

import math

import torch

from ._step import normalised

_MAX_COMPONENTS, _IMAGES_PER_COMPONENT = 64, 8  # components of fewer images are chance, and unseen images lack them
_MAX_IMAGES, _MAX_VALUES = 1000, 2**25  # of the real images, to bound time and memory
_PIXELS_AT_ONCE = 4096
_SMALLEST_SHARE = 1e-6  # of the first component's variance; components with less are taken to have as much
_N_SPLITS = 3  # of the real images into halves, each of which is scored against the other
_LEAST_SPLIT = 4  # images; fewer make no two halves with a variance each
_ROUNDING = (2 / 255) ** 2 / 12  # variance that rounding to bytes gives a pixel, so that no ratio is of nothing
_SPECTRA_AT_ONCE, _SPECTRA_SCORED = 64, 128  # images; more of the generated ones change little and take time
_CHANCE = 4  # variances of a mean spectrum; as an image's frequencies vary together, one is often exceeded

# What unseen real images stay within and unusable ones do not; docs/training.md shows both.
UNUSABLE_SCORE = 10.0
UNUSABLE_SPECTRAL_DISTANCE = 0.7
LEAST_VARIANCE_RATIO = 0.2


def is_unusable(record):
    """Whether images are so far from the real ones that nothing can be learnt from them.

    So are images that score far worse than unseen real images do, that are all alike, that are a blur, or that are
    full of speckle. Images that pass may still be poor: that takes :func:`gan_sampler.quality_report`.

    Parameters
    ----------
    record : dict of str to float
        What `PixelFrechetDistance` returned, or an entry of a history, which holds the same.

    Returns
    -------
    is_unusable : bool
    """
    return not (  # so that a value that is no number is unusable
        record["score"] <= UNUSABLE_SCORE
        and record["spectral_distance"] <= UNUSABLE_SPECTRAL_DISTANCE
        and record["variance_ratio"] >= LEAST_VARIANCE_RATIO
    )


def rank(record):
    """Return what snapshots are chosen by, the smaller the better: usable images first, then by score.

    The score alone would choose images of the right shapes that are full of speckle, which it cannot see.

    Parameters
    ----------
    record : dict of str to float
        What `PixelFrechetDistance` or `PixelFrechetDistanceByClass` returned, or an entry of a history. Of other
        records ``score`` alone counts.

    Returns
    -------
    rank : tuple of (int, float)
        How many classes have unusable images, and the score.
    """
    if "n_unusable" in record:
        return record["n_unusable"], record.get("mean_score", record["score"])
    return int("spectral_distance" in record and is_unusable(record)), record["score"]


class PixelFrechetDistance:
    """Fréchet distance (equation 6 of [1]_) to real images, in whitened principal components of their pixels.

    What FID is in the features of a network that was trained on photographs, this is in the first principal components
    of the real images, one for every eight of them and 64 at most, scaled to variance one. It takes milliseconds, needs
    no weights, and ranks the generators of one training as KID does; docs/training.md has the figures.

    The unit is what real images get among themselves: the mean distance of one random half of them to the other. So
    about 1, or less, is as good as real images that were not seen, whatever the class. Fewer than four images have no
    two halves; then the unit is 1 in each component, the distance of images that are all like the mean image.

    Speckle lies outside these components, so that the score cannot see it. It shows in the power spectrum, as blur and
    the repeated patterns of transposed convolutions do; that is compared apart, as the spectral distance.

    Parameters
    ----------
    images : torch.Tensor of shape (n, channels, height, width)
        Real images, at least two: uint8 in 0..255, or floats in [-1, 1].

    Raises
    ------
    ValueError
        When there are fewer than two images, or they are not finite.
    """

    n_images = 256  # how many images a score shall be taken of

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
        # Inner products between images give the components without a matrix of pixels by pixels; in float64, because
        # the smallest are lost beside the largest otherwise.
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
            Images in [-1, 1], of the shape given before and on the same device. A single one has variance 0.

        Returns
        -------
        record : dict of str to float
            ``score``, the squared distance over that of unseen real images: about 1 is as good as real, the lower the
            better, infinite where an image is not finite. ``variance_ratio``, the images' variance over that of the
            real ones: 1 where they differ as much from each other, 0 where they are all alike. ``spectral_distance``,
            the root mean square, over frequencies, of the logarithm of the images' power over that of the real ones,
            less what chance adds: 0 for real images, the lower the better. `is_unusable` judges by all three.
        """
        images = images.float()
        pixels = images.flatten(1) - self._mean
        components = (pixels @ self._whitening).cpu().double()
        mean = components.mean(0)
        components -= mean
        covariance = components.T @ components / max(1, len(images) - 1)
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
        by_chance = _CHANCE * self._spectral_variance * (1 / self._n_real + 1 / len(images))
        difference = (_log_spectra(images).mean(0) - self._spectrum)[1:]  # without the mean brightness
        return math.sqrt(max(0.0, difference.square().mean().item() - by_chance))


class PixelFrechetDistanceByClass:
    """`PixelFrechetDistance` of several classes, for class-conditional generators.

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
            The mean ``score`` of the classes, in how many of them images are unusable, ``n_unusable``, and of each by
            its index ``score_0``, ``variance_ratio_0``,
            ``spectral_distance_0`` and so on; `of_class` takes these out.
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
    """Return one class's part of what `PixelFrechetDistanceByClass` returned, under the names that one class has.

    Parameters
    ----------
    record : dict of str to float
        Or an entry of a history, which holds the same.
    index : int
        The class.

    Returns
    -------
    record : dict of str to float
        ``score``, ``variance_ratio`` and ``spectral_distance``.
    """
    return {name: record[f"{name}_{index}"] for name in ("score", "variance_ratio", "spectral_distance")}


def _distance(mean, covariance):
    """Return the squared distance to components of mean 0 and covariance 1, which commutes with every other."""
    spread = torch.linalg.eigvalsh(covariance).clamp_min(0).sqrt()
    return mean.square().sum() + (spread - 1).square().sum()


def _whitening(products, n_components):
    """Return the components of centred images as sums of the images, (n_images, n_components).

    Parameters
    ----------
    products : torch.Tensor of shape (n_images, n_images)
        The images' inner products.
    n_components : int
        How many of the largest.
    """
    squares, left = torch.linalg.eigh(products)
    squares, left = squares[-n_components:], left[:, -n_components:]
    squares = squares.clamp_min(_SMALLEST_SHARE * squares[-1]).clamp_min(1e-12)
    return left * (len(products) ** 0.5 / squares)


def _distance_between_halves(products, n_components):
    """Return the mean distance of one half of the images to the other; all from inner products."""
    n_images = len(products)
    if n_images < _LEAST_SPLIT:
        return float(n_components)
    by_chance = 4 * n_components / n_images  # of the two means alone; few images may come out as more alike
    generator, distances = torch.Generator().manual_seed(0), []  # a stream of its own: no other one moves
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
    """Return the logarithm of each image's power, (n, n_frequencies): of that of the mean, single images would rule."""
    return torch.cat(
        [
            torch.fft.rfft2(part).abs().square().div(part[0, 0].numel()).add(_ROUNDING).log().mean(1).flatten(1)
            for part in images.split(_SPECTRA_AT_ONCE)
        ]
    )
