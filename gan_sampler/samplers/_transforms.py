"""Small random transformations of real images."""

import math

import torch
from sklearn.utils import gen_batches

from ..runtime import draw_seed, isolated

BATCH_SIZE = 256  # images transformed together


def transformed(images, rows, random_state, **options):
    """Yield batches of images, each slightly and randomly transformed.

    Parameters
    ----------
    images : torch.Tensor of shape (n, channels, height, width)
        Images in [-1, 1].
    rows : sequence of int
        Which of them, in this order; a row may occur several times.
    random_state : RandomState
        Source of random numbers.
    **options
        Parameters of `small_transform`.

    Yields
    ------
    images : torch.Tensor of shape (n_in_batch, channels, height, width)
        In [-1, 1].
    """
    transform = small_transform(*images.shape[2:], **options)
    for batch in gen_batches(len(rows), BATCH_SIZE):
        with isolated(images.device, draw_seed(random_state)):  # torchvision uses torch's default generator
            made = torch.stack([transform(images[row]) for row in rows[batch]])
        yield made


def small_transform(
    height,
    width,
    *,
    rotation=10.0,
    translation=0.05,
    scaling=0.05,
    brightness=0.1,
    contrast=0.1,
    horizontal_flip=False,
    vertical_flip=False,
):
    """Return a function that transforms one image, (channels, height, width) in [-1, 1].

    The parameters are those of `AugmentationOverSampler`.
    """
    from torchvision.transforms import v2  # takes as long to import as torch, and only augmentation needs it

    margin_y, margin_x = _margins(height, width, rotation, translation, scaling)
    # The largest padding by reflection.
    mirrored_y, mirrored_x = min(margin_y, height - 1), min(margin_x, width - 1)
    move = v2.Compose(
        [
            v2.Pad([mirrored_x, mirrored_y], padding_mode="reflect"),
            v2.Pad([margin_x - mirrored_x, margin_y - mirrored_y], padding_mode="edge"),
            v2.RandomAffine(
                degrees=rotation,
                # torchvision takes the shift as a fraction of the padded side
                translate=(
                    translation * width / (width + 2 * margin_x),
                    translation * height / (height + 2 * margin_y),
                ),
                scale=(1 - scaling, 1 + scaling),
                interpolation=v2.InterpolationMode.BILINEAR,
            ),
            v2.CenterCrop([height, width]),
            v2.RandomHorizontalFlip(0.5 if horizontal_flip else 0.0),
            v2.RandomVerticalFlip(0.5 if vertical_flip else 0.0),
        ]
    )
    jitter = v2.ColorJitter(brightness=brightness, contrast=contrast)

    def transform(image):
        image = (move(image) + 1) / 2
        n_colours = 1 if len(image) <= 2 else 3  # a second or fourth channel is opacity, which is not changed
        return torch.cat([jitter(image[:n_colours]), image[n_colours:]]) * 2 - 1

    return transform


def _margins(height, width, rotation, translation, scaling):
    """Return the padding that avoids empty corners after a rotation, shift or change of size.

    After a rotation, a side extends over ``cos`` times its own length plus ``sin`` times that of the other side, and
    the shift is added. The largest extent over all angles up to `rotation` is taken.
    """
    angles = torch.deg2rad(torch.linspace(0, rotation, 181, dtype=torch.float64, device="cpu"))
    cos, sin = angles.cos().abs(), angles.sin().abs()
    longer = (1 + 2 * translation) / (1 - scaling)
    reach_y = longer * (cos * height + sin * width).max().item()
    reach_x = longer * (cos * width + sin * height).max().item()
    return math.ceil((reach_y - height) / 2) + 1, math.ceil((reach_x - width) / 2) + 1
