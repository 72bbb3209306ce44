"""The quality report: all measures of one class at once, readable and drawable."""

import warnings
from collections import Counter
from dataclasses import dataclass, field, fields
from hashlib import blake2b
from numbers import Integral

import numpy as np
from sklearn.base import clone
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import pairwise_distances_argmin
from sklearn.utils._optional_dependencies import check_matplotlib_support

from ..embedding import EfficientNetLite0Embedder, embed
from ..images import check_images
from ..runtime import own_random_state, stacklevel_of_user
from ._measures import (
    MIN_DIFFERENT,
    fidelity_and_diversity,
    find_near_copies,
    import_prdc,
    kernel_inception_distance,
    memorisation,
    realism,
    relative_spread,
    two_sample_auc,
    utility,
)

MIN_IMAGES = 10  # of either kind: two for each fold, and neighbours for density and coverage
_LEAST_SPREAD = 0.5  # of the real images' own; below it a QualityWarning is due
_MOST_COPIES = 0.05  # more than among the real images themselves, and than two standard errors
_LARGEST_P, _LEAST_SHARE = 0.01, 0.6  # of a memorisation that is worth a warning
_OTHER_SOURCE = 0.7  # AUC of real against held-out images above which these are no sample of the same kind
_LEAST_AUC = 0.35  # below it a note is due, as above and below these
_GIVEN_AWAY, _LEAST_COVERAGE, _LARGEST_LOSS = 0.9, 0.5, 0.1
_SHOWN = 6  # images in a row of the figure


class QualityWarning(UserWarning):
    """Synthetic images are copies of real ones, or all alike."""


@dataclass(frozen=True, repr=False, eq=False)
class QualityReport:
    """Measures of the synthetic images of one class, made by `quality_report`; ``print`` shows them as a table.

    Attributes
    ----------
    n_real, n_synthetic, n_held_out : int
        Number of images that were compared.
    kid, kid_error : float
        Kernel inception distance, in the features of the embedder, and its standard error; 0 is perfect. It compares
        images within one embedder only.
    density, precision : float
        Whether synthetic images lie among real ones; 1 is perfect.
    coverage, recall : float
        Whether every kind of real image is among the synthetic ones; 1 is perfect.
    spread : float
        Mean distance within pairs of synthetic images over that within pairs of real ones; 1 is perfect.
    auc_pixels, auc_features : float
        How well a classifier tells synthetic from real; .5 is perfect, 1 means that artefacts give every image away.
    near_copies, near_copies_among_real : float
        Share of synthetic images that are near-copies of a real one, and what share of the real images would be
        called so; in [0, 1].
    memorisation, memorisation_p : float or None
        How often a synthetic image is nearer to the training images than to held-out ones, .5 is perfect, and the
        chance of so high a share without memory. None without held-out images.
    utility_synthetic, utility_real : float or None
        Area under the ROC curve of a classifier that learnt the class from synthetic, or from real images, tested on
        real ones. None without images of other classes.
    reference : dict of str to float
        The same measures for held-out real images in place of the synthetic ones; empty where there are none.
    rows_synthetic : ndarray of shape (n_synthetic,), int
        Which synthetic images were compared, where there were more than `max_images`.
    realism : ndarray of shape (n_synthetic,)
        How plausible each of them is, the higher the better.
    nearest : ndarray of shape (n_synthetic,), int
        Row of its nearest real image, in the array given.
    is_near_copy : ndarray of shape (n_synthetic,), bool
    """

    n_real: int
    n_synthetic: int
    n_held_out: int
    kid: float
    kid_error: float
    density: float
    precision: float
    coverage: float
    recall: float
    spread: float
    auc_pixels: float
    auc_features: float
    near_copies: float
    near_copies_among_real: float
    memorisation: float | None
    memorisation_p: float | None
    utility_synthetic: float | None
    utility_real: float | None
    reference: dict
    rows_synthetic: np.ndarray
    realism: np.ndarray
    nearest: np.ndarray
    is_near_copy: np.ndarray
    _shown: dict = field(default_factory=dict)

    def __str__(self):
        held_out = f" and {self.n_held_out} held out" if self.n_held_out else ""
        column = "held-out real" if self.reference else ""
        lines = [
            f"{self.n_synthetic} synthetic images against {self.n_real} real ones{held_out}",
            "",
            f"{'':34}{'synthetic':>11}{column:>15}{'perfect':>9}",
        ]
        for title, names in _LINES.items():
            measured = {name: line for name, line in names.items() if getattr(self, name) is not None}
            lines += [title] if measured else []
            for name, (words, perfect) in measured.items():
                values = getattr(self, name), self.reference.get(name)
                digits = ".2g" if name in _SMALL_NUMBERS else ".2f"
                shown, reference = ("" if value is None else format(value, digits) for value in values)
                lines.append(f"  {words:32}{shown:>11}{reference:>15}{perfect:>9}")
        if min(self.auc_pixels, self.auc_features) < _LEAST_AUC:
            lines += ["", "An AUC far below 0.5: the same images are in both sets, or there are few."]
        return "\n".join([*lines, *self._verdict()])

    def _verdict(self):
        """Say in words what numbers far from perfect mean for who wants to train with these images."""
        if max(self.auc_pixels, self.auc_features) > _GIVEN_AWAY:
            yield "\nArtefacts give nearly every image away: in one class alone, they stand for the class."
        if self.coverage < _LEAST_COVERAGE:
            yield "\nMost kinds of real images are missing."
        if self.utility_real is not None and self.utility_real - self.utility_synthetic > _LARGEST_LOSS:
            yield "\nA classifier learns less from these images than from real ones."

    def __repr__(self):
        numbers = ", ".join(
            f"{f.name}={value:.3g}" for f in fields(self) if isinstance(value := getattr(self, f.name), float)
        )
        return f"QualityReport({numbers})"

    def __getstate__(self):
        return {**self.__dict__, "_shown": {}}  # real images must not travel with a pickled sampler

    def __copy__(self):
        return self  # nothing in it changes

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
        check_matplotlib_support("QualityReport.plot")
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
        n_columns = len(next(iter(self._shown.values())))
        if fig is None:
            fig = plt.figure(figsize=(1.1 * n_columns + 1.2, 1.15 * len(self._shown) + 0.4), layout="constrained")
        axes = fig.subplots(len(self._shown), n_columns, squeeze=False)
        for row, (words, images) in zip(axes, self._shown.items(), strict=True):
            for ax, image in zip(row, images, strict=True):
                ax.imshow(image, cmap="gray", vmin=0, vmax=1)
                ax.set(xticks=[], yticks=[])
            row[0].set_ylabel(words, rotation=0, ha="right", va="center")
        fig.suptitle(
            f"{self.n_synthetic} synthetic images: KID {self.kid:.2g}, coverage {self.coverage:.2f}, AUC of real "
            f"against synthetic {max(self.auc_pixels, self.auc_features):.2f}, near-copies {self.near_copies:.0%}",
            fontsize="medium",
        )
        return fig


_SMALL_NUMBERS = ("kid", "kid_error", "memorisation_p")
# The lines of the table: name: (words, what a perfect generator would have)
_LINES = {
    "Fidelity and diversity": {
        "kid": ("KID (the lower the better)", "0"),
        "kid_error": ("  its standard error", ""),
        "density": ("density", "1"),
        "precision": ("precision", "1"),
        "coverage": ("coverage", "1"),
        "recall": ("recall", "1"),
        "spread": ("spread within pairs", "1"),
    },
    "Artefacts: AUC of real against synthetic": {
        "auc_pixels": ("from pixels", "0.5"),
        "auc_features": ("from features", "0.5"),
    },
    "Copies": {
        "near_copies": ("share of near-copies", "0"),
        "near_copies_among_real": ("  among the real images", ""),
        "memorisation": ("nearer to training than held-out", "0.5"),
        "memorisation_p": ("  chance of that (p)", ""),
    },
    "Utility: AUC on real images of a classifier trained on": {
        "utility_synthetic": ("synthetic images", ""),
        "utility_real": ("real images", ""),
    },
}


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
    """Measure how good, how varied and how copied the synthetic images of one class are.

    Parameters
    ----------
    X_real : array-like of shape (n_real, ...)
        The real images that the generator was trained on, in any layout that the samplers take; at least 10.
    X_synthetic : array-like of shape (n_synthetic, ...)
        Images from the generator, in the same layout; at least 10.
    X_holdout : array-like or None, default=None
        Real images of the class that the generator never saw, drawn at random from the same source; at least 10. With
        them, memorisation is tested, for which the embedder must not have learnt from `X_real`, and every measure is
        shown for real images too.
    X_rest : array-like or None, default=None
        Real images of the other classes; at least 10. With them, utility is measured.
    embedder : transformer or None, default=None
        Turns images into features; cloned and fitted to `X_real`. None stands for `EfficientNetLite0Embedder`.
    image_shape : tuple of int, "row" or None, default=None
        Shape ``(H, W)`` or ``(H, W, C)`` of one image when the arrays hold rows; an `embedder` needs it too.
    data_format : {"auto", "channels_first", "channels_last"}, default="auto"
        Where the channels of 4-D input stand.
    value_range : tuple of (float, float) or None, default=None
        Values of black and white. None stands for 0..255 for uint8 and for what is found in `X_real` otherwise.
    max_images : int, default=1000
        Sets of more images are thinned to as many at random, because time and memory grow with the square. Copies are
        looked for among all real images nevertheless.
    random_state : int, RandomState instance or None, default=None
        Chooses images, folds and permutations.
    name : str, default="The synthetic images"
        What warnings call them.

    Returns
    -------
    report : QualityReport
        Print it; ``report.plot()`` draws the most and least plausible images.

    Warns
    -----
    QualityWarning
        When many synthetic images are near-copies of real ones, or all are much alike, or when images of `X_holdout`
        stand in `X_real`.

    Raises
    ------
    ValueError
        When a set is too small, of another shape than `X_real`, of another kind of numbers (booleans, integers,
        floats) or far brighter, when `embedder` returns no features, or `max_images` is less than 10.
    TypeError
        When `embedder` is no transformer.
    ImportError
        When prdc or, for the default embedder, EfficientNet-Lite0 is not installed.

    Notes
    -----
    Synthetic images made from `X_real` are nearer to it than new images would be, so fidelity, diversity, artefacts
    and, without held-out images, utility flatter a generator that copies.

    Classifiers are a random forest on pixels, which sees noise and blur, and a linear discriminant with shrinkage on
    features. Copies are looked for in pixels and in features: either will do. A real image that was mirrored, or
    shifted by a pixel, is near neither way: only the test with `X_holdout` can find that a generator repeats those.

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
    if embedder is not None and not (hasattr(embedder, "fit") and hasattr(embedder, "transform")):
        raise TypeError(f"embedder must be a transformer, with fit and transform, or None; got {embedder!r}.")
    random_state = own_random_state(random_state)
    if X_synthetic is None:
        raise ValueError("X_synthetic must hold the images to be measured; got None.")
    given = {"X_real": X_real, "X_synthetic": X_synthetic, "X_holdout": X_holdout, "X_rest": X_rest}
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
    features = {argument: embed(embedder, X, "embedder") for argument, X in sets.items()}
    pixels = {argument: _pixels(image_format, X) for argument, X in sets.items() if argument != "X_rest"}
    for space in (pixels, features):  # copies are looked for among all real images, each once, the rest among some
        space["different"], space["X_real"] = space["X_real"][different], space["X_real"][rows["X_real"]]

    measures = {"memorisation": None, "memorisation_p": None, "utility_synthetic": None, "utility_real": None}
    measures |= _compare(pixels, features, "X_synthetic", random_state)
    reference = {}
    if "X_holdout" in sets:
        reference = _compare(pixels, features, "X_holdout", random_state)
        del reference["is_near_copy"], reference["near_copies_among_real"]
        measures["memorisation"], measures["memorisation_p"] = memorisation(
            features["different"],
            features["X_holdout"][_first_of_each(sets["X_holdout"])],  # as for those trained on, or they could not swap
            features["X_synthetic"],
            random_state,
        )
    if "X_rest" in sets:
        measures["utility_synthetic"], measures["utility_real"] = utility(
            features["X_real"],
            features["X_synthetic"],
            features["X_rest"],
            _LINEAR,
            random_state,
            held_out=features.get("X_holdout"),
        )
    plausible = realism(features["X_real"], features["X_synthetic"])
    nearest = different[pairwise_distances_argmin(features["X_synthetic"], features["different"])]
    report = QualityReport(
        n_real=len(X_real),
        n_synthetic=len(sets["X_synthetic"]),
        n_held_out=len(sets.get("X_holdout", ())),
        **measures,
        reference=reference,
        rows_synthetic=rows["X_synthetic"],
        realism=plausible,
        nearest=nearest,
        _shown=_choose_shown(image_format, X_real, sets["X_synthetic"], plausible, nearest),
    )
    _warn(report, name)
    return report


def _check_sets(given, image_format, max_images, random_state):
    """Return the sets that were given, all but the real ones thinned, and which rows are looked at in each."""
    sets, rows = {}, {}
    for argument, X in given.items():
        if X is None:
            continue
        X = image_format.check_same(X, input_name=argument, seen="of X_real")
        if len(X) < MIN_IMAGES:
            raise ValueError(f"{argument} must hold at least {MIN_IMAGES} images to be measured; got {len(X)}.")
        if argument == "X_holdout":
            _check_held_out(sets["X_real"], X)
        rows[argument] = np.sort(random_state.permutation(len(X))[:max_images])
        sets[argument] = X if argument == "X_real" else X[rows[argument]]
    return sets, rows


def _warn(report, name):
    if report.spread < _LEAST_SPREAD:
        _raise(
            f"{name} are much more alike than real ones: spread is {report.spread:.2f}, where 1 would be as varied "
            f"and less than {_LEAST_SPREAD} is called collapse. Train longer, with smaller steps, or on more images."
        )
    remedy = "Train on more images or less long, or let the networks see changed images (augmentation)."
    share = report.near_copies
    error = (share * (1 - share) / report.n_synthetic) ** 0.5
    if share - 2 * error > report.near_copies_among_real + _MOST_COPIES:
        _raise(
            f"{name} are in part near-copies of real ones: near_copies is {share:.2f}, among the real "
            f"images themselves {report.near_copies_among_real:.2f}. Do not publish them as anonymous. {remedy}"
        )
    if report.memorisation is None or report.memorisation < _LEAST_SHARE or report.memorisation_p > _LARGEST_P:
        return
    difference = max(report.reference["auc_pixels"], report.reference["auc_features"])
    if difference > _OTHER_SOURCE:
        _raise(
            f"Whether {name[0].lower()}{name[1:]} were learnt by heart cannot be told: they are nearer to the images "
            f"trained on than to held-out ones (memorisation {report.memorisation:.2f}), but the held-out ones are of "
            f"another kind, a classifier tells them from X_real with an AUC of {difference:.2f}. Hold out images from "
            "the same source."
        )
    else:
        _raise(
            f"{name} are nearer to the images trained on than to held-out ones: memorisation is "
            f"{report.memorisation:.2f} (p = {report.memorisation_p:.3f}), where .5 would be none. {remedy}"
        )


def _first_of_each(X):
    """Return the rows at which each different image stands first."""
    first = {}
    for row, image in enumerate(X):
        first.setdefault(_fingerprint(image), row)
    return np.array(list(first.values()))


def _fingerprint(image):
    """Return what only equal images share, whatever their dtype."""
    return blake2b((image.astype(np.float32) + 0).tobytes(), digest_size=16).digest()  # + 0: no -0.0


def _check_held_out(X_real, X_holdout):
    """Warn of held-out images that stand among those trained on."""
    held_out = Counter(map(_fingerprint, X_holdout))
    n_known = sum(held_out.pop(print_, 0) for print_ in map(_fingerprint, X_real))
    if n_known:
        _raise(
            f"X_holdout must hold images that the generator never saw; {n_known} of its {len(X_holdout)} images stand "
            "in X_real, too, so that memorisation is underestimated. Leave them out."
        )


def _raise(message):
    warnings.warn(message, QualityWarning, stacklevel=stacklevel_of_user())


_FOREST = RandomForestClassifier()
_LINEAR = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")


def _compare(pixels, features, name, random_state):
    """Return the measures of one set of images against the real ones."""
    real, others = features["X_real"], features[name]
    forest = clone(_FOREST).set_params(random_state=random_state.randint(2**31 - 1))
    copies = [find_near_copies(space["different"], space[name]) for space in (pixels, features)]
    is_near_copy, is_double = (np.logical_or(*found) for found in zip(*copies, strict=True))
    kid, kid_error = kernel_inception_distance(real, others)
    return {
        "kid": kid,
        "kid_error": kid_error,
        **fidelity_and_diversity(real, others),
        "spread": relative_spread(real, others),
        "auc_pixels": two_sample_auc(pixels["X_real"], pixels[name], forest, random_state),
        "auc_features": two_sample_auc(real, others, _LINEAR, random_state),
        "near_copies": float(is_near_copy.mean()),
        "near_copies_among_real": float(is_double.mean()),
        "is_near_copy": is_near_copy,
    }


def _pixels(image_format, X):
    return image_format.to_tensor(X).flatten(1).numpy()  # float32: one set of 1,000 large images is a gigabyte


def _choose_shown(image_format, X_real, X_synthetic, plausible, nearest):
    """Return the rows of the figure: words: images in [0, 1]."""
    order = np.argsort(-plausible, kind="stable")
    n_shown = min(_SHOWN, len(order) // 2)
    shown = {}
    for words, chosen in (("most\nplausible", order[:n_shown]), ("least\nplausible", order[-n_shown:])):
        shown[words] = _drawable(image_format, X_synthetic[chosen])
        shown[f"nearest real\nof {'these' if 'most' in words else 'those'}"] = _drawable(
            image_format, X_real[nearest[chosen]]
        )
    return shown


def _drawable(image_format, X):
    """Return images as (n, H, W) or (n, H, W, 3 or 4) floats in [0, 1]."""
    images = image_format.to_tensor(X).add(1).div(2).clamp(0, 1).permute(0, 2, 3, 1).numpy()
    return images[..., 0] if images.shape[3] < 3 else images
