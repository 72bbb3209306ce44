"""Where real images come from: arrays in memory, or a data set of torchvision's that reads files."""

import numpy as np
import torch
from PIL import Image
from torch.utils.data import Dataset, Subset


def find_source(sampler, X, y, *, resize):
    """Return the source of the real images in `X`, which is arrays or a data set."""
    if isinstance(X, Dataset):
        if y is not None:
            raise ValueError("y must be None where X is a torch Dataset, whose targets are the labels; got both.")
        return FolderSource(sampler, X, resize=resize)
    if y is None:
        raise ValueError("y must hold a label for each image in X; got None. Only a torch Dataset has its own labels.")
    return ArraySource(sampler, X, y)


def to_tensor(X, image_format):
    """Return images of an array as a tensor (n, channels, height, width) of its dtype, which shares its memory."""
    X = X.reshape(len(X), *image_format.image_shape)
    if image_format.layout == "HW":
        X = X[:, None]
    elif image_format.layout == "HWC":
        X = np.moveaxis(X, -1, 1)
    X = X.astype(X.dtype.newbyteorder("="), copy=not X.flags.writeable)  # torch warns of memory it must not write to
    return torch.from_numpy(X)


class ArraySource:
    """Real images in an array.

    Parameters
    ----------
    sampler : object
        Fitted; has `image_format_`.
    X : array-like
        Images in its format.
    y : array-like of shape (n,)
        Their labels.

    Attributes
    ----------
    classes : list
        Labels, sorted.
    class_to_idx : dict of label to int
        Place of each in `classes`.
    labels : ndarray of shape (n,)
        Label of each image, as the sampler knows it.
    targets : ndarray of shape (n,), int64
        Class of each image.
    """

    def __init__(self, sampler, X, y):
        image_format = sampler.image_format_
        if isinstance(X, torch.Tensor):
            X = X.detach().cpu().numpy()
        X = image_format.check_same(X)
        self.labels = np.asarray(y)
        if self.labels.ndim != 1 or len(self.labels) != len(X):
            raise ValueError(
                f"y must hold one label for each of the {len(X)} images in X; got shape {self.labels.shape}."
            )
        self.images = to_tensor(X, image_format)
        found, self.targets = np.unique(self.labels, return_inverse=True)
        self.classes = found.tolist()
        self.class_to_idx = {label: i for i, label in enumerate(self.classes)}

    def target(self, index):
        """Return a class in the form in which it is given out."""
        return index

    def real(self, row):
        """Return a real image, (channels, height, width)."""
        return self.images[row]

    def synthetic(self, image):
        """Return a synthetic image in the form of a real one."""
        return image


class FolderSource:
    """Real images of a map-style data set like torchvision's, such as `ImageFolder`, or of a subset of one.

    Parameters
    ----------
    sampler : object
        Fitted; has `image_format_` and `generators_`.
    dataset : torch.utils.data.Dataset
        Has `targets`, or is a `Subset` of what has. With `samples` and `loader` images are loaded here, without them by
        its ``__getitem__``.
    resize : bool
        Whether loaded images are brought to the size of the sampler's.

    Attributes
    ----------
    classes, class_to_idx, labels, targets
        As in `ArraySource`.
    """

    def __init__(self, sampler, dataset, *, resize):
        base, rows = dataset, None
        while isinstance(base, Subset):
            indices = np.asarray(base.indices, dtype=np.int64)
            base, rows = base.dataset, indices if rows is None else indices[rows]
        if not hasattr(base, "targets"):
            raise ValueError(
                "X must be an array, or a data set with targets like torchvision's ImageFolder, or a Subset of one; "
                f"got {type(base).__name__}, whose labels are only known when every image is read. Pass images and "
                "labels as arrays."
            )
        self.base, self.rows = base, np.arange(len(base.targets)) if rows is None else rows
        self.targets = np.asarray(base.targets, dtype=np.int64)[self.rows]
        self.classes = list(getattr(base, "classes", np.unique(np.asarray(base.targets)).tolist()))
        self.class_to_idx = dict(getattr(base, "class_to_idx", {label: i for i, label in enumerate(self.classes)}))
        self.labels = self._labels(sampler)
        self._image_format = _check_bytes(sampler.image_format_)
        self._loads = hasattr(base, "samples") and hasattr(base, "loader")
        self._size = (self._image_format.width, self._image_format.height) if resize else None
        self._mode = None
        if self._loads and len(self.rows):
            self._look_at_one_of_each_class()

    def _labels(self, sampler):
        """Return the label of each image as the sampler knows it: a name, or the index of a class."""
        known = [*sampler.generators_]
        if all(isinstance(label, str) for label in known):
            unknown = sorted(set(known) - set(self.classes))
            if not unknown:
                return np.array(self.classes)[self.targets]
        else:
            unknown = [label for label in known if label not in range(len(self.classes))]
            if not unknown:
                return self.targets
        raise ValueError(
            f"sampler must have been fitted with the classes of the data set, their names or their indices: "
            f"{self.classes}; got generators of {known}. Fit it on this folder, for example read with "
            "gan_sampler.datasets.load_image_folder."
        )

    def _look_at_one_of_each_class(self):
        colour = self._image_format.channels >= 3 and not self._image_format.grey_as_rgb
        for index in np.unique(self.targets):
            image = self._load(np.flatnonzero(self.targets == index)[0])
            if not isinstance(image, Image.Image):
                raise ValueError(
                    f"The loader of the data set must return images of Pillow's; got {type(image).__name__}. Pass "
                    "images and labels as arrays."
                )
            if self._mode is None:
                self._mode = image.mode
            if not colour and image.mode in ("RGB", "RGBA") and not _is_grey(image):
                raise ValueError(
                    f"sampler must have seen images with colour, like those of class {self.classes[index]!r} in the "
                    "data set; it was fitted on grey ones, by which synthetic images would be told from real ones. Fit "
                    'it on images loaded with color="rgb", or give the data set a loader that makes them grey.'
                )

    def _load(self, row):
        image = self.base.loader(self.base.samples[self.rows[row]][0])
        # with the filter of load_image_folder, so that sharpness does not tell real images from synthetic ones
        if self._size is not None and isinstance(image, Image.Image) and image.size != self._size:
            image = image.resize(self._size, Image.Resampling.LANCZOS)
        return image

    def target(self, index):
        """Return a class in the form in which it is given out."""
        change = getattr(self.base, "target_transform", None)
        return index if change is None else change(index)

    def real(self, row):
        """Return a real image as the data set gives it, but of the sampler's size."""
        if not self._loads:
            return self.base[int(self.rows[row])][0]
        return self._transformed(self._load(row))

    def synthetic(self, image):
        """Return a synthetic image, (channels, height, width), as the data set would give it."""
        pixels = image.permute(1, 2, 0).contiguous().numpy()
        picture = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
        if self._mode is not None and picture.mode != self._mode:
            picture = picture.convert(self._mode)
        return self._transformed(picture)

    def _transformed(self, image):
        change = getattr(self.base, "transform", None)
        return image if change is None else change(image)


def _check_bytes(image_format):
    if image_format.dtype != np.uint8 or image_format.value_range != (0, 255):
        raise ValueError(
            "sampler must have been fitted on images of bytes, uint8 from 0 to 255, to go with a data set of image "
            f"files; it was on {image_format.dtype}. Fit it on such, or pass images and labels as arrays."
        )
    return image_format


def _is_grey(image):
    pixels = np.asarray(image)
    return np.array_equal(pixels[..., 0], pixels[..., 1]) and np.array_equal(pixels[..., 0], pixels[..., 2])
