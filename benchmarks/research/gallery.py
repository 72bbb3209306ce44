"""Draw synthetic X-rays of a GAN that was trained for some minutes, as one picture.

    python benchmarks/research/gallery.py --data path/to/chest_xray --image-size 64 --minutes 15 --out synthetic.png

`--real` writes a picture of real images too, to be looked at beside it. Prints how far the two most alike images are
apart, for synthetic and for real ones: near 0, one image would be a copy of another.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from common import load_images, rarest_class, training_part
from PIL import Image
from scipy.spatial.distance import pdist
from torchvision.utils import make_grid

from gan_sampler import DCGANOverSampler


def as_picture(images):
    """Return uint8 images (n, H, W) or (n, H, W, 3) in rows of eight, with a pixel of white between them."""
    channels_first = torch.from_numpy(images[:, None] if images.ndim == 3 else np.moveaxis(images, -1, 1))
    grid = make_grid(channels_first, padding=1, pad_value=255).permute(1, 2, 0).numpy()
    return Image.fromarray(grid[..., 0] if images.ndim == 3 else grid)


def least_distance(images):
    """Return the smallest root mean square difference between two images."""
    return pdist(images.reshape(len(images), -1).astype(float)).min() / images[0].size ** 0.5


def main():
    """Read the command line, train, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="chest_xray", help="folder of class folders, or another word of run.py's")
    parser.add_argument("--image-size", type=int, default=64)
    parser.add_argument("--minutes", type=float, default=15, help="length of the training")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, required=True, help="PNG of synthetic images")
    parser.add_argument("--real", type=Path, help="PNG of real images")
    parser.add_argument("--images", type=int, default=48)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)

    data = training_part(load_images(options.data, options.image_size))
    rarest = rarest_class(data)
    real = data.images[data.target == rarest]
    sampler = DCGANOverSampler(
        sampling_strategy={rarest: len(real) + options.images},
        repeated_share=0,
        n_steps=10**6,
        max_time=60 * options.minutes,
        random_state=0,
        verbose=1,
    )
    resampled, _ = sampler.fit_resample(data.images, data.target)
    synthetic = resampled[sampler.synthetic_mask_]
    best, last = min(sampler.history_[rarest], key=lambda record: record["score"]), sampler.history_[rarest][-1]
    chosen = real[np.random.RandomState(0).permutation(len(real))[: options.images]]
    print(
        f"{len(real)} images of class {data.target_names[rarest]}, {last['step']} steps in {last['seconds']:.0f} s; "
        f"kept step {best['step']}, score {best['score']:.2f}, variance ratio {best['variance_ratio']:.2f}\n"
        f"least distance between two synthetic images {least_distance(synthetic):.1f}, between as many real ones "
        f"{least_distance(chosen):.1f} (root mean square, of 255)"
    )
    as_picture(synthetic).save(options.out)
    if options.real:
        as_picture(chosen).save(options.real)


if __name__ == "__main__":
    main()
