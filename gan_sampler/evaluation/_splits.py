"""Splits into training and test images; splits with leakage or missing classes are refused."""

import warnings
from dataclasses import dataclass, field, replace

import numpy as np
from imblearn.datasets import make_imbalance
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

N_PARTS = 4  # a quarter for testing, if the data have no test images of their own
THRESHOLD_FOLDS = 3
VALIDATION_PARTS = 5  # a fifth of the training images validates networks that stop early
_TRIED = 20  # folds; larger numbers are not tried, which would take minutes, and are assumed to work


@dataclass(frozen=True)
class Split:
    """Rows of training and test images, and the seed of everything random.

    Parameters
    ----------
    name : str
        ``"official"``, ``"random"`` or ``"fold k"``.
    seed : int
        Seed of samplers, embedders and classifiers.
    train, test : ndarray of int
        Rows of the images.
    validation : ndarray of int or None, default=None
        Rows of real images that are apart from those of `train`, for early stopping; no sampler sees them.
    removed : ndarray of int, default=no rows
        Rows that `thin_rarest` has removed from the training images.
    """

    name: str
    seed: int
    train: np.ndarray = field(compare=False, repr=False)
    test: np.ndarray = field(compare=False, repr=False)
    validation: np.ndarray | None = field(default=None, compare=False, repr=False)
    removed: np.ndarray = field(compare=False, repr=False, default_factory=lambda: np.empty(0, dtype=np.int64))

    @property
    def learnt_from(self):
        """Rows of all images that training may use, those for validation included."""
        return self.train if self.validation is None else np.sort(np.concatenate([self.train, self.validation]))

    def restored(self, groups=None):
        """Return the split with the removed rows among the training images again, but for groups that validate or test.

        Only the split of a data set can have groups in both training and test.
        """
        rows = self.removed
        if groups is not None:
            apart = self.test if self.validation is None else np.concatenate([self.test, self.validation])
            rows = rows[~np.isin(groups[rows], groups[apart])]
        return replace(self, train=np.sort(np.concatenate([self.train, rows])), removed=self.removed[:0])


def make_splits(data, seeds, cv=None):
    """Split the data, once for each seed.

    Parameters
    ----------
    data : ImageData
        The data; a group is never in both parts.
    seeds : sequence of int
        Seeds.
    cv : int, splitter, iterable or None, default=None
        Number of folds over all images, shuffled for each seed; or a splitter or pairs of rows (train, test), as in
        `sklearn.model_selection.cross_validate`. None takes the split of the data set, without its validation images,
        or else a stratified quarter of the images for testing.

    Returns
    -------
    splits : list of Split
        For each seed one split, or one for each fold.

    Raises
    ------
    ValueError
        When a part would have no image of a class, or a group is in both parts of a given split.
    """
    if cv is None and data.has_official_split:
        train, test = np.flatnonzero(data.split == "train"), np.flatnonzero(data.split == "test")
        _warn_of_shared_groups(data, train, test)
        return [_check(data, Split("official", seed, train, test)) for seed in seeds]
    if cv is not None and not isinstance(cv, int | np.integer):
        pairs = _given_pairs(data, cv)
        return [
            _check_given(data, Split(f"fold {number}", seed, train, test))
            for seed in seeds
            for number, (train, test) in enumerate(pairs, start=1)
        ]
    if cv is not None and (isinstance(cv, bool) or cv < 2):
        raise ValueError(f"cv must be at least 2 folds; got {cv!r}. Leave it out for one split of training and test.")
    n_parts, argument = (N_PARTS, "A split without cv") if cv is None else (int(cv), "cv")
    splits = []
    for seed in seeds:
        folds = stratified_folds(data.target, data.groups, n_parts, seed, argument, data.target_names)
        if cv is None:
            splits.append(Split("random", seed, *folds[0]))
        else:
            splits += [Split(f"fold {number}", seed, *fold) for number, fold in enumerate(folds, start=1)]
    return splits


def stratified_folds(target, groups, n_splits, seed, argument="cv", names=None, remedy=None):
    """Return folds (train, test) with every class in every part and every group in one part.

    Parameters
    ----------
    target : ndarray of shape (n,)
        Labels.
    groups : ndarray of shape (n,) or None
        Groups.
    n_splits : int
        Number of folds.
    seed : int
        Seed of the shuffling.
    argument : str, default="cv"
        What needs the folds, for error messages.
    names : sequence of str or None, default=None
        Names of the classes; None takes the labels.
    remedy : str or None, default=None
        Advice in the error message, if the user cannot choose the number of folds.

    Raises
    ------
    ValueError
        When this is not possible, with the largest possible number of folds.
    """
    folds = _try_folds(target, groups, n_splits, seed)
    if folds is not None:
        return folds
    labels, counts = _group_counts(target, groups)
    rarest = int(np.argmin(counts))
    name = labels[rarest] if names is None else names[labels[rarest]]
    one, many = ("image", "images") if groups is None else ("group (patient)", "groups (patients)")
    if remedy is None:
        most = _most_folds(target, groups, min(n_splits - 1, counts[rarest]), seed)
        remedy = (
            f"The largest possible number of folds is {most}: use cv={most}, or collect more."
            if most
            else "No number of folds is possible: collect more, or leave that class out."
        )
    raise ValueError(
        f"{argument} must have at least one {one} of every class in each of the {n_splits} parts; class {name} "
        f"has {counts[rarest]} {one if counts[rarest] == 1 else many}. {remedy}"
    )


def split_off_validation(split, target, groups, names=None):
    """Return a split in which a stratified fifth of the training images validates; a group is in one part.

    If a class has fewer than five groups, the part is larger: a fourth, a third or a half.

    Parameters
    ----------
    split : Split
        A split. Its seed decides which images these are, so they are the same for every treatment and network.
    target : ndarray of shape (n,)
        Labels of all images.
    groups : ndarray of shape (n,) or None
        Groups of all images.
    names : sequence of str or None, default=None
        Names of the classes, for the error message.

    Raises
    ------
    ValueError
        When a class has a single group of training images.
    """
    rows = split.train
    y, units = target[rows], None if groups is None else groups[rows]
    n_parts = _most_folds(y, units, VALIDATION_PARTS, split.seed) or 2
    remedy = (
        "Collect more, raise n_rare if it is set, leave networks out, or let them train for a fixed number of epochs "
        "(early_stopping=False)."
    )
    train, validation = stratified_folds(y, units, n_parts, split.seed, "Early stopping", names, remedy)[0]
    return replace(split, train=rows[train], validation=rows[validation])


def _group_counts(target, groups):
    """Return the labels, and the number of groups, or of images without groups, of each."""
    labels = np.unique(target)
    units = np.arange(len(target)) if groups is None else groups
    return labels, [len(np.unique(units[target == label])) for label in labels]


def _most_folds(target, groups, at_most, seed):
    """Return the largest possible number of folds up to `at_most`, or None."""
    if at_most > _TRIED:
        return at_most
    return next((n for n in range(at_most, 1, -1) if _try_folds(target, groups, n, seed) is not None), None)


def _try_folds(target, groups, n_splits, seed):
    """Return the folds, or None if a part would have no image of a class."""
    labels, counts = _group_counts(target, groups)
    if min(counts) < n_splits:  # a group can only be in one part
        return None
    folder = (StratifiedKFold if groups is None else StratifiedGroupKFold)(n_splits, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The least populated class")  # it counts images instead of groups
        folds = list(folder.split(np.zeros(len(target)), target, groups))
    is_complete = all(len(np.unique(target[part])) == len(labels) for fold in folds for part in fold)
    return folds if is_complete else None


def thin_rarest(split, target, n_images):
    """Return a split with `n_images` training images of the class that is rarest among them, drawn with its seed.

    Parameters
    ----------
    split : Split
        A split.
    target : ndarray of shape (n,)
        Labels of all images.
    n_images : int
        Number of images to keep, at most all.
    """
    labels, counts = np.unique(target[split.train], return_counts=True)
    rarest, most = labels[counts.argmin()], counts.min()
    if isinstance(n_images, bool) or not isinstance(n_images, int | np.integer) or not 1 <= n_images <= most:
        raise ValueError(f"n_rare must be an integer from 1 to {most}, as many as train; got {n_images!r}.")
    rows, _ = make_imbalance(
        split.train[:, None], target[split.train], sampling_strategy={rarest: n_images}, random_state=split.seed
    )
    return replace(split, train=np.sort(rows[:, 0]), removed=np.setdiff1d(split.train, rows[:, 0]))


def _warn_of_shared_groups(data, train, test):
    shared = _shared_groups(data, train, test)
    if shared:
        warnings.warn(
            f"{shared} groups (patients) are in both the training and the test images of this data set, so the "
            "test results are too good. Pass cv for a new split by groups.",
            stacklevel=4,
        )


def _shared_groups(data, train, test):
    return 0 if data.groups is None else len(np.intersect1d(data.groups[train], data.groups[test]))


def _given_pairs(data, cv):
    """Return the pairs of rows of a splitter or an iterable."""
    pairs = []
    if hasattr(cv, "get_n_splits"):
        pairs = list(cv.split(data.images, data.target, data.groups))
    elif np.iterable(cv) and not isinstance(cv, str):
        pairs = list(cv)
    if not pairs or not all(isinstance(pair, tuple | list) and len(pair) == 2 for pair in pairs):
        raise ValueError(
            f"cv must be a number of folds, a splitter, or pairs of rows (train, test); got {cv!r}. See scikit-learn's "
            "cross_validate."
        )
    return [tuple(_as_rows(rows, len(data.target)) for rows in pair) for pair in pairs]


def _as_rows(rows, n_images):
    rows = np.asarray(rows)
    if rows.dtype == bool and rows.shape == (n_images,):
        return np.flatnonzero(rows)
    if rows.ndim != 1 or rows.dtype.kind not in "iu" or rows.size == 0 or rows.min() < 0 or rows.max() >= n_images:
        raise ValueError(f"cv must give rows from 0 to {n_images - 1}; got an array of {rows.dtype}, {rows}.")
    return rows.astype(np.int64)


def _check_given(data, split):
    shared = _shared_groups(data, split.train, split.test)
    if shared:
        raise ValueError(
            f"cv must keep every group (patient) in one part; {split.name} has {shared} groups in both. Use a splitter "
            "that knows groups, such as StratifiedGroupKFold, or cv as a number."
        )
    if np.intersect1d(split.train, split.test).size:
        raise ValueError(f"cv must not test on rows that it trains on; {split.name} does.")
    return _check(data, split)


def _check(data, split):
    for part, rows in (("train", split.train), ("test", split.test)):
        lacking = sorted(set(range(len(data.target_names))) - set(data.target[rows].tolist()))
        if lacking:
            names = ", ".join(data.target_names[label] for label in lacking)
            raise ValueError(
                f"every class must be in training and test; the {part} images of the {split.name} split have none of "
                f"{names}."
            )
    return split
