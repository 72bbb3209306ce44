"""What the report shows of images: chosen while the images are at hand, kept as plain arrays.

Real images, and images that are made of real ones, are kept only when that was asked for: a report is passed on more
easily than the images of patients may be.
"""

import numpy as np
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from sklearn.neighbors import NearestNeighbors

from ..displays._pixels import nearest_rows
from ._answer import is_close_to_real

N_SHOWN = 8  # real images of a class
N_SYNTHETIC = 16  # of a treatment and class
N_MAPPED = 500  # of either kind
_LARGEST_SIDE = 112  # pixels of an image that is kept; a page of large ones would be megabytes
_PCA_TO = 50
_MIN_MAPPED = 8


def make_pictures(data, split, new_images, features_of, random_state, *, include_real_images=False):
    """Choose images, compare them in features, and return all of it as arrays.

    Parameters
    ----------
    data : ImageData
        All images.
    split : Split
        Its training images are the real ones.
    new_images : dict of str to (ndarray of shape (n, ...), ndarray of shape (n,))
        Synthetic images of each treatment, and their labels.
    features_of : callable or None
        Turns images into an array of shape (n, d). None compares pixels, and there are no feature vectors.
    random_state : int or RandomState instance
        Chooses images, and draws the map.
    include_real_images : bool, default=False
        Whether the pixels of real images, and of those that are made of real ones, are kept.

    Returns
    -------
    pictures : dict of str to ndarray
        What numpy.savez holds without pickles; ``<i>`` is a place in ``treatments``:

        - ``classes``, ``treatments`` : names
        - ``space`` : "features" or "pixels", where images were compared
        - ``real_rows``, ``real_labels`` : row in the data and class of the real images that are shown
        - ``real_distance`` : median distance from a real training image to its nearest other one, for each class
        - ``labels_<i>``, ``nearest_<i>``, ``distance_<i>`` : class of each synthetic image, row of the nearest real
          training image of its class, and how far that is
        - ``images_<i>`` : the images, but for those made of real ones
        - ``vectors``, ``vectors_labels``, ``vectors_kinds`` : feature vectors, and of which class and kind (0 real,
          else 1 + place in ``treatments``)
        - ``map``, ``map_labels``, ``map_kinds`` : points in the plane
        - with `include_real_images`: ``real_images``, ``nearest_images_<i>`` and all ``images_<i>``
    """
    random_state = np.random.RandomState(random_state) if isinstance(random_state, int | np.integer) else random_state
    kept = {name: _thin(*made, N_SYNTHETIC, random_state) for name, made in new_images.items() if len(made[0])}
    train = split.learnt_from
    target = np.asarray(data.target)[train]
    compare = _pixels if features_of is None else features_of
    features = np.asarray(compare(data.images[train]), dtype=np.float64)
    shown = train[_choose(target, N_SHOWN, random_state)]
    pictures = {
        "classes": np.array([str(name) for name in data.target_names]),
        "treatments": np.array(list(kept), dtype=str),
        "space": np.array("pixels" if features_of is None else "features"),
        "real_rows": shown,
        "real_labels": np.asarray(data.target)[shown],
        "real_distance": np.array([_typical_distance(features[target == c]) for c in range(len(data.target_names))]),
    }
    if include_real_images:
        pictures["real_images"] = shrink(data.images[shown])
    of_new = {}
    for place, (name, (images, labels)) in enumerate(kept.items()):
        of_new[place] = np.asarray(compare(images), dtype=np.float64)
        nearest, distance = nearest_rows(of_new[place], labels, features, target)
        pictures |= {f"labels_{place}": labels, f"nearest_{place}": train[nearest], f"distance_{place}": distance}
        if include_real_images or not is_close_to_real(name):
            pictures[f"images_{place}"] = shrink(images)
        if include_real_images:
            pictures[f"nearest_images_{place}"] = shrink(data.images[train[nearest]])
    if features_of is not None:
        pictures |= _vectors(features, target, of_new, [labels for _, labels in kept.values()])
    return pictures | _map(features, target, compare, new_images, list(kept), random_state)


def add_real_images(pictures, images):
    """Return `pictures` with the pixels of the real images that they name.

    Parameters
    ----------
    pictures : dict of str to ndarray
        As `make_pictures` returns without real images.
    images : ndarray of shape (n, ...)
        All images of the data.
    """
    added = {"real_images": shrink(images[pictures["real_rows"]])}
    for place in range(len(pictures["treatments"])):
        added[f"nearest_images_{place}"] = shrink(images[pictures[f"nearest_{place}"]])
    return {**pictures, **added}


def shrink(images, side=_LARGEST_SIDE):
    """Return every k-th block of pixels averaged, so that no side is longer than `side` by much."""
    images = np.asarray(images)
    factor = max(1, -(-max(images.shape[1:3]) // side))
    if factor == 1:
        return images
    height, width = (size // factor * factor for size in images.shape[1:3])
    blocks = images[:, :height, :width].reshape(
        len(images), height // factor, factor, width // factor, factor, *images.shape[3:]
    )
    means = blocks.mean(axis=(2, 4))
    return (np.rint(means) if images.dtype.kind in "iu" else means).astype(images.dtype)


def _choose(labels, n_images, random_state):
    """Return up to `n_images` places of every label, drawn at random."""
    chosen = [random_state.permutation(np.flatnonzero(labels == label))[:n_images] for label in np.unique(labels)]
    return np.concatenate(chosen)


def _thin(images, labels, n_images, random_state):
    labels = np.asarray(labels)
    chosen = _choose(labels, n_images, random_state)
    return np.asarray(images)[chosen], labels[chosen]


def _pixels(images):
    images = shrink(images, 32)
    return images.reshape(len(images), -1)


def _typical_distance(features):
    """Return the median distance to the nearest other image; NaN of a single one."""
    if len(features) < 2:
        return np.nan
    distances, _ = NearestNeighbors(n_neighbors=2).fit(features).kneighbors(features)
    return float(np.median(distances[:, 1]))


def _vectors(features, target, of_new, labels_new):
    """Return the feature vector of the real image nearest to the mean of each class, and of one synthetic image."""
    vectors, labels, kinds = [], [], []
    for label in np.unique(target):
        own = features[target == label]
        vectors.append(own[np.linalg.norm(own - own.mean(axis=0), axis=1).argmin()])
        labels.append(label)
        kinds.append(0)
    for place, made in of_new.items():
        vectors.append(made[0])
        labels.append(labels_new[place][0])
        kinds.append(place + 1)
    return {"vectors": np.array(vectors), "vectors_labels": np.array(labels), "vectors_kinds": np.array(kinds)}


def _map(features, target, compare, new_images, names, random_state):
    """Return points in the plane: principal components, then t-SNE, of all real and synthetic images together."""
    real = random_state.permutation(len(features))[:N_MAPPED]
    parts, labels = [features[real]], [target[real]]
    kinds = [np.zeros(len(real), dtype=np.int64)]
    for place, name in enumerate(names):
        images, own = new_images[name]
        chosen = random_state.permutation(len(images))[: N_MAPPED // len(names)]
        parts.append(np.asarray(compare(np.asarray(images)[chosen]), dtype=np.float64))
        labels.append(np.asarray(own)[chosen])
        kinds.append(np.full(len(chosen), place + 1))
    everything = np.concatenate(parts)
    if len(everything) < _MIN_MAPPED:
        return {}
    n_components = min(_PCA_TO, *everything.shape)
    reduced = PCA(n_components, random_state=random_state.randint(2**31 - 1))
    tsne = TSNE(
        perplexity=min(30.0, (len(everything) - 1) / 3),
        init="pca" if n_components > 1 else "random",
        random_state=random_state.randint(2**31 - 1),
        n_jobs=1,
    )
    points = tsne.fit_transform(reduced.fit_transform(everything))
    return {"map": points, "map_labels": np.concatenate(labels), "map_kinds": np.concatenate(kinds)}
