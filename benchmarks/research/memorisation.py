"""How many copies must a generator make, and how many images be held out, for the memorisation test to find them?

    python benchmarks/memorisation.py --data path/to/chest_xray

Synthetic images are real ones: fresh, fresh and blurred, one fresh image with other noise each time, or, in part,
copies of images trained on: exact, with noise, shifted by a pixel, or mirrored. They are tested as `quality_report`
does, in features of EfficientNet-Lite0 and in pixels; beside it stands the test of Meehan et al. by the plain distance
in pixels.
Classes are thrown together, so that there are enough images. A CSV file is written, and printed as tables.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
import sources
from scipy.ndimage import gaussian_filter
from scipy.stats import mannwhitneyu

from gan_sampler import EfficientNetLite0Embedder
from gan_sampler.quality._measures import memorisation, three_nearest, versions_of

SIZE = 64  # pixels, of images and of what the embedder looks at
N_TRAIN, N_HELD_OUT, N_SYNTHETIC = (40, 400, 2000, 5000), (10, 50, 200, 500), 200
SHARES = (0.01, 0.1, 1.0)
N_DRAWS = 20  # of held-out and synthetic images, for each choice of the images trained on
LEVEL = 0.01  # as `quality_report` warns


def add_noise(images, random_state):
    """Return images with noise of 4 of 255 levels of grey."""
    return (images + random_state.normal(0, 4, images.shape)).clip(0, 255).astype(np.uint8)


COPIES = {
    "exact": lambda images, _: images,
    "with noise": add_noise,
    "shifted by a pixel": lambda images, _: np.pad(images, ((0, 0), (0, 0), (1, 0)), mode="edge")[:, :, :-1],
    "mirrored": lambda images, _: images[:, :, ::-1],
}
NO_COPIES = {  # made of images that were not trained on
    "fresh": lambda images, _: images,
    "fresh, blurred": lambda images, _: gaussian_filter(images, (0, 1, 1)),
    "one fresh image": lambda images, random_state: add_noise(np.repeat(images[:1], len(images), axis=0), random_state),
}


def find_nearest(images, features, trained_on):
    """Return what `three_nearest` finds in features and in pixels."""
    return [three_nearest(trained_on[0], [features]), three_nearest(trained_on[1], all_versions(images))]


def all_versions(images):
    """Return pixels in [-1, 1], as they are, shifted and mirrored."""
    return versions_of(images[:, None].astype(np.float32) / 127.5 - 1)


def run_seed(images, features, n_train, seed, embed):
    """Return the rows of one choice of images trained on."""
    random_state = np.random.RandomState(seed)
    train, held_out, fresh = np.split(random_state.permutation(len(images)), [n_train, n_train + max(N_HELD_OUT)])
    trained_on = features[train], all_versions(images[train])[0]
    copied, fresh = train[random_state.randint(n_train, size=N_SYNTHETIC)], fresh[:N_SYNTHETIC]
    made = {kind: change(images[copied], random_state) for kind, change in COPIES.items()}
    made |= {kind: change(images[fresh], random_state) for kind, change in NO_COPIES.items()}
    known = {"exact": features[copied], "fresh": features[fresh]}
    nearest = {
        kind: find_nearest(synthetic, known[kind] if kind in known else embed(synthetic), trained_on)
        for kind, synthetic in made.items()
    }
    real = find_nearest(images[held_out], features[held_out], trained_on)
    for n_held_out in N_HELD_OUT:
        for kind in made:
            for share in SHARES if kind in COPIES else (0.0,):
                for _ in range(N_DRAWS):
                    rows = random_state.permutation(len(held_out))[:n_held_out]
                    chosen = random_state.choice(N_SYNTHETIC, N_SYNTHETIC)  # with repetition, as from a generator
                    n_copies = round(share * N_SYNTHETIC) if kind in COPIES else N_SYNTHETIC
                    parts = [(nearest[kind], chosen[:n_copies]), (nearest["fresh"], chosen[n_copies:])]
                    found = test(take(real, rows), join(take(*part) for part in parts))
                    yield {"n_train": n_train, "n_held_out": n_held_out, "synthetic": kind, "copies": share, **found}


def take(nearest, rows):
    """Return the same for some of the images."""
    return [(found[rows], squares[rows]) for found, squares in nearest]


def join(parts):
    """Return the same for the images of all parts."""
    return [tuple(map(np.concatenate, zip(*space, strict=True))) for space in zip(*parts, strict=True)]


def test(held_out, synthetic):
    """Return the share and the alarm of both tests."""
    share, p = memorisation(held_out, synthetic)
    distances = [nearest[1][1][:, 0] for nearest in (held_out, synthetic)]
    plain = mannwhitneyu(*distances, alternative="greater", method="asymptotic")
    plain_share = plain.statistic / (len(distances[0]) * len(distances[1]))
    return {"share": share, "alarm": p <= LEVEL, "plain_share": plain_share, "plain_alarm": plain.pvalue <= LEVEL}


def main():
    """Read the command line, compute, write, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="chest_xray", help="as in run.py; grey images, at least 5,700 for all rows")
    parser.add_argument("--out", type=Path, default=Path("docs/results/memorisation.csv"), help="the CSV file")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1])
    parser.add_argument("--show", action="store_true", help="print the tables of the file and compute nothing")
    options = parser.parse_args()
    if options.show and not options.out.is_file():
        parser.error(f"--out must be a file that this command wrote; there is no {options.out}")
    if not options.show:
        try:
            images = sources.load(options.data, image_size=SIZE).images
        except (ValueError, OSError, ImportError) as exc:
            parser.error(str(exc))
        if images.ndim != 3 or images.dtype != np.uint8:
            parser.error(f"--data must name grey images of uint8; got {images.dtype} of shape {images.shape}")
        embedder = EfficientNetLite0Embedder(input_size=SIZE).fit(images[:2])

        def embed(images):
            return embedder.transform(images).astype(np.float64)

        features = embed(images)
        found = [
            row
            for n_train in N_TRAIN
            if n_train + max(N_HELD_OUT) + N_SYNTHETIC <= len(images)
            for seed in options.seeds
            for row in run_seed(images, features, n_train, seed, embed)
        ]
        options.out.parent.mkdir(parents=True, exist_ok=True)
        summarise(found).to_csv(options.out, index=False)
    print(show(pd.read_csv(options.out)))


def summarise(found):
    """Return means over draws and seeds."""
    by = ["n_train", "n_held_out", "synthetic", "copies"]
    groups = pd.DataFrame(found).groupby(by, sort=False)
    return groups.mean().astype(float).round(4).assign(n_draws=groups.size()).reset_index()


def show(table):
    """Return the shares of draws with an alarm, and the mean share, as Markdown."""
    shown = []
    for title, values in (
        ("Draws with a warning", "alarm"),
        ("Mean share", "share"),
        ("Draws with a warning, plain distance", "plain_alarm"),
    ):
        wide = table.pivot_table(
            index=["synthetic", "copies"], columns=["n_train", "n_held_out"], values=values, sort=False
        )
        wide.columns = [f"{n_train} / {n_held_out}" for n_train, n_held_out in wide.columns]
        shown.append(f"{title}, by images trained on / held out:\n\n{wide.reset_index().to_markdown(index=False)}")
    return "\n\n".join(shown)


if __name__ == "__main__":
    main()
