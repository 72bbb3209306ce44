"""How many copies must a generator make, and how many images be held out, for the memorisation test to find them?

    python benchmarks/research/memorisation.py --data path/to/chest_xray

Synthetic images are real ones: fresh, fresh and blurred, one fresh image with other noise each time, or, in part,
copies of images trained on: exact, with noise, shifted by a pixel, or mirrored. They are tested as `quality_report`
does, in features of EfficientNet-Lite0 and in pixels; beside it stands the test of Meehan et al. by the plain distance
in pixels.
Classes are thrown together, so that there are enough images. A CSV file is written, and printed as tables.
"""

import functools

import numpy as np
import pandas as pd
from common import UsageError, complete, load_images, made_by, make_parser, run
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


def run_seed(n_train, seed, images, features, embed):
    """Return the rows of one choice of images trained on, means over the draws."""
    random_state = np.random.RandomState(seed)
    train, held_out, fresh = np.split(random_state.permutation(len(images)), [n_train, n_train + max(N_HELD_OUT)])
    trained_on = features[train], all_versions(images[train])[0]
    copied, fresh = train[random_state.randint(n_train, size=N_SYNTHETIC)], fresh[:N_SYNTHETIC]
    synthetic = {kind: change(images[copied], random_state) for kind, change in COPIES.items()}
    synthetic |= {kind: change(images[fresh], random_state) for kind, change in NO_COPIES.items()}
    known = {"exact": features[copied], "fresh": features[fresh]}
    nearest = {
        kind: find_nearest(made, known[kind] if kind in known else embed(made), trained_on)
        for kind, made in synthetic.items()
    }
    real = find_nearest(images[held_out], features[held_out], trained_on)
    rows = []
    for n_held_out in N_HELD_OUT:
        for kind in synthetic:
            for share in SHARES if kind in COPIES else (0.0,):
                n_copies = round(share * N_SYNTHETIC) if kind in COPIES else N_SYNTHETIC
                drawn = [
                    test(*draw(real, nearest[kind], nearest["fresh"], n_held_out, n_copies, random_state))
                    for _ in range(N_DRAWS)
                ]
                cell = {"n_train": n_train, "seed": seed, "n_held_out": n_held_out, "synthetic": kind, "copies": share}
                rows.append({**cell, **pd.DataFrame(drawn).astype(float).mean().round(4), "n_draws": N_DRAWS})
    return rows


def draw(real, copies, fresh, n_held_out, n_copies, random_state):
    """Return what is nearest to some held-out images, and to synthetic ones of which some are copies."""
    rows = random_state.permutation(len(real[0][0]))[:n_held_out]
    chosen = random_state.choice(N_SYNTHETIC, N_SYNTHETIC)  # with repetition, as from a generator
    parts = [(copies, chosen[:n_copies]), (fresh, chosen[n_copies:])]
    return take(real, rows), join(take(*part) for part in parts)


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


def compute_table(options):
    """Return the table, with what it lacked."""
    data = load_images(options.data, SIZE)
    images = data.images
    if images.ndim != 3 or images.dtype != np.uint8:
        raise UsageError(f"--data must name grey images of uint8; got {images.dtype} of shape {images.shape}")
    sizes = [n for n in options.n_train if n + max(N_HELD_OUT) + N_SYNTHETIC <= len(images)]
    if not sizes:
        least = min(options.n_train) + max(N_HELD_OUT) + N_SYNTHETIC
        raise UsageError(f"--data must hold at least {least:,} images; got {len(images):,}")
    embedder = EfficientNetLite0Embedder(input_size=SIZE).fit(images[:2])
    embed = functools.partial(describe, embedder)
    return complete(
        options,
        functools.partial(run_seed, images=images, features=embed(images), embed=embed),
        [(n_train, seed) for n_train in sizes for seed in options.seeds],
        by=("n_train", "seed"),
        digest=made_by([__file__], [data]),
    )


def describe(embedder, images):
    """Return features in the precision that distances need."""
    return embedder.transform(images).astype(np.float64)


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


def main():
    """Read the command line, compute what is missing, print the tables."""
    parser = make_parser(__doc__, out="docs/results/memorisation.csv", seeds=(0, 1), n_jobs=1)
    parser.add_argument(
        "--n-train", nargs="+", type=int, default=list(N_TRAIN), choices=N_TRAIN, help="images trained on; default: all"
    )
    run(parser, parser.parse_args(), compute_table, show)


if __name__ == "__main__":
    main()
