"""The quality report: all measures of the synthetic images of one class."""

import warnings
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from numbers import Integral

import numpy as np
from sklearn.base import clone
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import pairwise_distances_argmin

from ..displays import SyntheticImagesDisplay
from ..displays._drawing import WIDTH, check_matplotlib
from ..displays._pixels import displayable
from ..embedding import EfficientNetLite0Embedder, embed
from ..images import check_images
from ..runtime import own_random_state, stacklevel_of_user
from ._judgement import find_copying, find_faults, find_notes
from ._measures import MIN_DIFFERENT, import_prdc, realism
from ._registry import MEASURES, RESERVED, Sets

MIN_IMAGES = 10  # of each set: two for each fold, and enough neighbours for density and coverage
_LARGEST_FEATURE = 1e20  # the kernel of KID has the sixth power, and its error the square of that
_SHOWN = 6  # images in a row of the figure


class QualityWarning(UserWarning):
    """Synthetic images are unusable, copies of real ones, or nearly identical."""


@dataclass(frozen=True, repr=False, eq=False)
class QualityReport:
    """Measures of the synthetic images of one class, from `quality_report`; ``print`` shows them as a table.

    Each measure is an attribute, including those that `gan_sampler.quality.register` added.

    Attributes
    ----------
    n_real, n_synthetic, n_held_out, n_rest : int
        Number of images that were compared.
    kid, kid_error : float
        Kernel inception distance, in the features of the embedder, and its standard error; 0 is perfect. Values of
        different embedders cannot be compared.
    density, precision : float
        Whether synthetic images lie within the distribution of real ones; 1 is perfect.
    recall, coverage, coverage_expected : float
        Whether synthetic images cover the distribution of real ones; 1 is perfect. Few images have a low coverage:
        `coverage_expected` is that of the same number of real images.
    spread : float
        Mean distance between synthetic images, divided by that between real ones; 1 is perfect.
    auc_pixels, auc_features : float
        AUC of a classifier of synthetic against real images; 0.5 is perfect, 1 means that all synthetic images have
        detectable artefacts.
    near_copies, near_copies_among_real : float
        Fraction of synthetic images that are near-copies of a real one, and fraction of real images that are
        near-copies of another one; in [0, 1].
    memorisation, memorisation_p : float or None
        Probability that a synthetic image is closer to a single training image, relative to others, than a held-out one
        (0.5 is perfect), and its p value without memorisation. None without held-out images.
    utility_synthetic, utility_real : float or None
        AUC of classifiers of the class against others that are trained on synthetic, and on real, images of it, and
        tested on real images. None without images of other classes.
    measures : dict of str to float or None
        All measures by name.
    reference : dict of str to float
        The measures of held-out real images in place of the synthetic ones; empty without held-out images.
    faults : tuple of str
        Reasons why the images should not be used, as clauses; empty if there is none. The generator has collapsed
        (spread below 0.5), the images are unlike real ones (precision below 0.1, or coverage below a tenth of
        `coverage_expected`), or a classifier learns little from them (utility lower than that of real images by 0.2 and
        by four standard errors, and less than half as far above 0.5). In simulations, real images in place of synthetic
        ones never reached these limits, except for distributions of (nearly) infinite variance.
    is_poor : bool
        Whether there are faults.
    rows_synthetic : ndarray of shape (n_synthetic,), int
        Rows of the synthetic images that were compared: all, or `max_images` chosen at random.
    realism : ndarray of shape (n_synthetic,)
        Realism score of each of these; the higher, the more plausible.
    nearest : ndarray of shape (n_synthetic,), int
        Row of the nearest real image in `X_real`.
    is_near_copy : ndarray of shape (n_synthetic,), bool
        Whether each of these is a near-copy of a real image.
    """

    n_real: int
    n_synthetic: int
    n_held_out: int
    n_rest: int
    measures: Mapping
    reference: Mapping
    rows_synthetic: np.ndarray
    realism: np.ndarray
    nearest: np.ndarray
    is_near_copy: np.ndarray
    _lines: tuple = ()  # the measures without their functions, which cannot be pickled
    _shown: dict = field(default_factory=dict)

    def __getattr__(self, name):
        measures = vars(self).get("measures", {})  # not set yet while a report is unpickled
        if name not in measures:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return measures[name]

    def __dir__(self):
        return [*super().__dir__(), *self.measures]

    @property
    def faults(self):
        """Reasons why the images should not be used, as clauses."""
        return tuple(find_faults(self))

    @property
    def is_poor(self):
        """Whether there are faults."""
        return bool(self.faults)

    def __str__(self):
        held_out = f" and {self.n_held_out} held out" if self.n_held_out else ""
        lines = [
            f"{self.n_synthetic} synthetic images against {self.n_real} real ones{held_out}",
            "",
            _line("", "synthetic", "held-out real" if self.reference else "", "ideal"),
        ]
        heading = None
        for measure in self._lines:
            value = self.measures[measure.name]
            if value is None:
                continue
            lines += [measure.heading] if measure.heading != heading else []
            heading = measure.heading
            values = (value, self.reference.get(measure.name))
            shown = ("" if value is None else format(value, measure.digits) for value in values)
            lines.append(_line(f"  {measure.label}", *shown, measure.ideal))
        notes = [*find_notes(self), *(f"Do not use these images: {fault}." for fault in self.faults)]
        return "\n".join([*lines, *(f"\n{note}" for note in notes)])

    def __repr__(self):
        numbers = ", ".join(f"{name}={value:.3g}" for name, value in self.measures.items() if value is not None)
        return f"QualityReport({numbers})"

    def __getstate__(self):
        return {**self.__dict__, "_shown": {}}  # no real images in pickles of samplers

    def __copy__(self):
        return self  # it is immutable

    def __deepcopy__(self, memo):
        return self

    def plot(self, *, fig=None):
        """Draw the most and the least plausible synthetic images, each above its nearest real one.

        Parameters
        ----------
        fig : matplotlib.figure.Figure or None, default=None
            Where to draw; a new figure where left out.

        Returns
        -------
        fig : matplotlib.figure.Figure
        """
        check_matplotlib("QualityReport.plot")
        import matplotlib.pyplot as plt

        if fig is not None and not hasattr(fig, "subplots"):
            raise TypeError(
                f"fig must be a matplotlib Figure or None; got {type(fig).__name__}. Pass ax.figure for axes."
            )
        if not self._shown:
            raise ValueError(
                "This report was unpickled, and real images do not travel in pickles. Call quality_report again where "
                "the images are."
            )
        synthetic, nearest = ([images[kind] for images in self._shown.values()] for kind in ("synthetic", "nearest"))
        display = SyntheticImagesDisplay(synthetic, nearest=nearest, display_labels=list(self._shown))
        if fig is None:
            height, width = display.montage().shape[:2]
            fig = plt.figure(figsize=(WIDTH, max(2, (WIDTH - 1) * height / width + 1.1)), layout="constrained")
        axes = display.plot(ax=fig.subplots()).ax_
        axes.set_title("")
        fig.suptitle(
            f"{self.n_synthetic} synthetic images: KID {self.kid:.2g}, coverage {self.coverage:.2f},\n"
            f"AUC of real against synthetic {max(self.auc_pixels, self.auc_features):.2f}, near-copies "
            f"{self.near_copies:.0%}",
            fontsize="medium",
        )
        return fig


RESERVED.update({*QualityReport.__dataclass_fields__, *vars(QualityReport)})


def _line(label, synthetic, held_out, ideal):
    return f"{label:34}{synthetic:>11}{held_out:>15}{ideal:>9}"


def quality_report(
    X_real,
    X_synthetic,
    X_holdout=None,
    *,
    X_rest=None,
    embedder=None,
    image_shape=None,
    data_format="auto",
    value_range=None,
    max_images=1000,
    random_state=None,
    name="The synthetic images",
):
    """Measure fidelity, diversity and copying of the synthetic images of one class.

    Parameters
    ----------
    X_real : array-like of shape (n_real, ...)
        The real images that the generator was trained on, in any layout of the samplers; at least 10.
    X_synthetic : array-like of shape (n_synthetic, ...)
        Images from the generator, in the same layout; at least 10.
    X_holdout : array-like or None, default=None
        Real images of the class that the generator was not trained on, a random sample of the same source; at least 10.
        With them, memorisation is tested, and the measures are also computed for real images, for comparison.
    X_rest : array-like or None, default=None
        Real images of the other classes; at least 10. With them, utility is measured.
    embedder : transformer or None, default=None
        Computes features of images; cloned and fitted to `X_real`. None is `EfficientNetLite0Embedder`.
    image_shape : tuple of int, "row" or None, default=None
        Shape ``(H, W)`` or ``(H, W, C)`` of one image if the arrays are 2-D; an `embedder` then needs it too.
    data_format : {"auto", "channels_first", "channels_last"}, default="auto"
        Position of the channel axis in 4-D input.
    value_range : tuple of (float, float) or None, default=None
        Smallest and largest value that a pixel can have. None stands for (0, 255) for uint8, and for the smallest and
        largest value in `X_real` otherwise.
    max_images : int, default=1000
        Larger sets are replaced by a random sample of this size, because time and memory are quadratic. Copies are
        still searched for among all real images.
    random_state : int, RandomState instance or None, default=None
        Seed of samples and folds.
    name : str, default="The synthetic images"
        Name of the images in warnings.

    Returns
    -------
    report : QualityReport
        All measures; ``print(report)`` shows a table, ``report.plot()`` the most and least plausible images.

    Warns
    -----
    QualityWarning
        When the images should not be used (`QualityReport.faults`), when many are near-copies of real ones, when they
        are nearer to training images than `X_holdout` is, or when `X_holdout` and `X_real` share images.

    Raises
    ------
    ValueError
        When a set is too small, or has another shape, type of numbers (booleans, integers, floats) or value range than
        `X_real`; when `embedder` returns no features, equal ones or ones beyond 1e20; or when `max_images` is less than
        10.
    TypeError
        When `embedder` is not a transformer.
    ImportError
        When prdc or, for the default embedder, EfficientNet-Lite0 is not installed.

    Notes
    -----
    Synthetic images are compared with `X_real`, the training images, so fidelity, diversity, artefacts and, without
    held-out images, utility are too optimistic for a generator that copies.

    The classifiers are a random forest on pixels, which detects noise and blur, and linear discriminant analysis with
    shrinkage on features. Copies are searched for in pixels and in features. A mirrored real image, or one shifted by a
    pixel, need not be a near-copy; only the test with `X_holdout` includes these. On X-rays, this test nearly always
    detected a generator of copies only, with ten held-out images; it detected one copy in ten in most repetitions with
    500 held-out and at least 400 training images; and it did not detect one copy in a hundred (docs/memorisation.md).

    References
    ----------
    See `gan_sampler.quality._measures` for the paper behind each measure.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.preprocessing import FunctionTransformer
    >>> from gan_sampler import quality_report
    >>> rng = np.random.RandomState(0)
    >>> X_real, X_synthetic = rng.randint(256, size=(2, 50, 8, 8), dtype=np.uint8)
    >>> flatten = FunctionTransformer(lambda X: X.reshape(len(X), -1) / 255)
    >>> report = quality_report(X_real, X_synthetic, embedder=flatten, random_state=0)
    >>> report.near_copies
    0.0
    """
    import_prdc()
    if not isinstance(max_images, Integral) or max_images < MIN_IMAGES:
        raise ValueError(f"max_images must be an integer of at least {MIN_IMAGES}; got {max_images!r}.")
    is_transformer = hasattr(embedder, "fit") and hasattr(embedder, "transform") and not isinstance(embedder, type)
    if embedder is not None and not is_transformer:
        raise TypeError(
            "embedder must be a transformer, an object (not its class) with fit and transform, or None; got "
            f"{embedder!r}."
        )
    random_state = own_random_state(random_state)
    if X_synthetic is None:
        raise ValueError("X_synthetic must hold the images to be measured; got None.")
    given = {"X_real": X_real, "X_synthetic": X_synthetic, "X_holdout": X_holdout, "X_rest": X_rest}
    _require_images(X_real, "X_real")
    given["X_real"], image_format = check_images(
        X_real, image_shape=image_shape, data_format=data_format, value_range=value_range, input_name="X_real"
    )
    sets, rows = _check_sets(given, image_format, max_images, random_state)
    X_real = sets["X_real"]
    different = _first_of_each(X_real)
    if len(different) < MIN_DIFFERENT:
        raise ValueError(f"X_real must hold at least {MIN_DIFFERENT} different images; got {len(different)}.")

    if embedder is None:
        embedder = EfficientNetLite0Embedder(image_shape=image_shape, data_format=data_format, value_range=value_range)
    embedder = clone(embedder).fit(X_real)
    unscaled = {argument: _embed(embedder, X, argument) for argument, X in sets.items()}
    features = _scale(unscaled)
    pixels = {argument: _pixels(image_format, X) for argument, X in sets.items() if argument != "X_rest"}
    for space in (unscaled, features, pixels):  # copies are searched for among all different real images
        space["different"], space["X_real"] = space["X_real"][different], space["X_real"][rows["X_real"]]
    compared = _compare(sets, unscaled, features, pixels, image_format.tensor_shape, random_state)
    measures = {name: _compute(measure, compared["X_synthetic"]) for name, measure in MEASURES.items()}
    reference = {
        name: _compute(measure, compared["X_holdout"])
        for name, measure in MEASURES.items()
        if measure.of_held_out and "X_holdout" in compared
    }
    realism_scores = realism(features["X_real"], features["X_synthetic"])
    nearest = different[pairwise_distances_argmin(features["X_synthetic"], features["different"])]
    report = QualityReport(
        n_real=len(X_real),
        n_synthetic=len(sets["X_synthetic"]),
        n_held_out=len(sets.get("X_holdout", ())),
        n_rest=len(sets.get("X_rest", ())),
        measures=measures,
        reference={name: value for name, value in reference.items() if value is not None},
        rows_synthetic=rows["X_synthetic"],
        realism=realism_scores,
        nearest=nearest,
        is_near_copy=compared["X_synthetic"].near_copies[0],
        _lines=tuple(replace(measure, compute=None) for measure in MEASURES.values()),
        _shown=_choose_shown(image_format, X_real, sets["X_synthetic"], realism_scores, nearest),
    )
    _warn_of(report, name)
    return report


def _require_images(X, argument):
    if getattr(X, "shape", ())[:1] == (0,) or (isinstance(X, list | tuple) and not X):
        raise ValueError(f"{argument} must hold at least {MIN_IMAGES} images to be measured; got none.")


def _check_sets(given, image_format, max_images, random_state):
    """Return the sets that were given, sampled except for X_real, and the sampled rows of each."""
    sets, rows = {}, {}
    for argument, X in given.items():
        if X is None:
            continue
        _require_images(X, argument)
        X = image_format.check_same(X, input_name=argument, seen="of X_real")
        if len(X) < MIN_IMAGES:
            raise ValueError(f"{argument} must hold at least {MIN_IMAGES} images to be measured; got {len(X)}.")
        if argument == "X_holdout":
            _check_held_out(sets["X_real"], X)
        rows[argument] = np.sort(random_state.permutation(len(X))[:max_images])
        sets[argument] = X if argument == "X_real" else X[rows[argument]]
    return sets, rows


def _warn_of(report, name):
    if report.is_poor:
        _warn(
            f"{name} should not be used: {'; '.join(report.faults)}. Train longer, with a smaller learning rate or on "
            "more images, and look at them with report.plot()."
        )
    for sign in find_copying(report):
        _warn(f"{name} {sign}")


def _first_of_each(X):
    """Return the rows of the first occurrence of each different image."""
    first = {}
    for row, image in enumerate(X):
        first.setdefault(_image_hash(image), row)
    return np.array(list(first.values()))


def _image_hash(image):
    """Return a hash of the values of an image, independent of its dtype."""
    if image.dtype.kind in "biu":
        widest = np.uint64 if image.max() > np.iinfo(np.int64).max else np.int64
        parts = [image.astype(widest)]
    else:
        parts, rest = [], image
        while not parts or rest.any():  # one float64 part is exact, except for longdouble
            parts.append(rest.astype(np.float64) + 0.0)  # + 0.0 removes the sign of -0.0
            rest = rest - parts[-1]
    return blake2b(b"".join(part.tobytes() for part in parts), digest_size=16).digest()


def _check_held_out(X_real, X_holdout):
    """Warn about held-out images that are also training images."""
    held_out = Counter(map(_image_hash, X_holdout))
    n_known = sum(held_out.pop(image_hash, 0) for image_hash in map(_image_hash, X_real))
    if n_known:
        _warn(
            f"X_holdout must hold images that the generator was not trained on; {n_known} of its {len(X_holdout)} "
            "images are also in X_real, so that memorisation is underestimated. Leave them out."
        )


def _warn(message):
    warnings.warn(message, QualityWarning, stacklevel=stacklevel_of_user())


_FOREST = RandomForestClassifier()
_LINEAR = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")


def _embed(embedder, X, argument):
    """Return the features of a set of images; raise an error if they are too large."""
    features = embed(embedder, X, "embedder")
    largest = np.abs(features).max()
    if largest > _LARGEST_FEATURE:
        raise ValueError(
            f"embedder must be a transformer that returns numbers of at most {_LARGEST_FEATURE:g}, because powers of "
            f"them are computed; {type(embedder).__name__} returned {largest:.3g} for an image of {argument}. Scale "
            "the images or the features."
        )
    return features


def _scale(features):
    """Return features minus the mean of the real ones, divided by the largest, so that no square underflows."""
    center = features["X_real"].mean(0)
    largest = np.abs(features["X_real"] - center).max()
    if largest <= 8 * np.finfo(float).eps * np.abs(center).max() or largest < np.finfo(float).tiny:
        raise ValueError(
            "embedder must be a transformer that returns different numbers for different images; those for all images "
            f"of X_real differ by no more than {largest:.3g} from {np.abs(center).max():.3g}."
        )
    return {argument: (values - center) / largest for argument, values in features.items()}


def _compare(sets, unscaled, features, pixels, tensor_shape, random_state):
    """Return the input of the measures, for the synthetic images and, if there are any, the held-out ones."""
    # Without duplicates, as the training images.
    held_out = _first_of_each(sets["X_holdout"]) if "X_holdout" in sets else None
    return {
        argument: Sets(
            real=features["X_real"],
            other=features[argument],
            different=features["different"],
            pixels_real=pixels["X_real"],
            pixels_other=pixels[argument],
            pixels_different=pixels["different"],
            held_out=None if held_out is None else features["X_holdout"][held_out],
            pixels_held_out=None if held_out is None else pixels["X_holdout"][held_out],
            rest=features.get("X_rest"),
            unscaled=(unscaled["X_real"], unscaled[argument]),
            tensor_shape=tensor_shape,
            forest=clone(_FOREST).set_params(random_state=random_state.randint(2**31 - 1)),
            linear=_LINEAR,
            random_state=random_state,
        )
        for argument in ("X_synthetic", "X_holdout")
        if argument in sets
    }


def _compute(measure, sets):
    """Return the value of one measure, or None if the images that it needs were not given."""
    if measure.needs is not None and getattr(sets, measure.needs) is None:
        return None
    return float(measure.compute(sets))


def _pixels(image_format, X):
    return image_format.to_tensor(X).flatten(1).numpy()  # float32, because sets of large images need gigabytes


def _choose_shown(image_format, X_real, X_synthetic, plausible, nearest):
    """Return the images of the figure: words: kind: bytes."""
    order = np.argsort(-plausible, kind="stable")
    n_shown = min(_SHOWN, len(order) // 2)
    return {
        words: {
            "synthetic": displayable(image_format, X_synthetic[chosen]),
            "nearest": displayable(image_format, X_real[nearest[chosen]]),
        }
        for words, chosen in (("most plausible", order[:n_shown]), ("least plausible", order[-n_shown:]))
    }
