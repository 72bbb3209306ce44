"""Are images of trainings in bfloat16 as good as those in float32, after equally many steps?

    python benchmarks/research/precision.py --data path/to/chest_xray

`DCGANOverSampler` trains on some images of the rarest class in either precision, as its defaults are but for the number
of steps. KID of 500 images to the images of the class that it was not trained on, in features of EfficientNet-Lite0,
compares them; seconds are those of the processor.
"""

import functools
import time
import warnings

import numpy as np
import pandas as pd
from common import add_choice, complete, load_images, made_by, make_parser, rarest_class, run, thin, training_part
from scipy.stats import ttest_rel

from gan_sampler import DCGANOverSampler, EfficientNetLite0Embedder
from gan_sampler.quality import kernel_inception_distance
from gan_sampler.runtime import keep_freed_memory, threads

N_JUDGED = 500  # images
PRECISIONS = ("float32", "bfloat16")
# name: size, number of images to train on, steps
TASKS = {"xray-32-400": (32, 400, 1000), "xray-64-400": (64, 400, 800)}


def judge(task, seed, precision, data):
    """Return the row of one training."""
    size, n_images, n_steps = TASKS[task]
    data = data[size]
    rare, rows = rarest_class(data), thin(data, n_images, seed)
    X, y = data.images[rows], data.target[rows]
    is_unseen = data.target == rare
    is_unseen[rows] = False
    sampler = DCGANOverSampler(
        sampling_strategy={rare: n_images + 1}, n_steps=n_steps, precision=precision, random_state=seed, device="cpu"
    )
    keep_freed_memory()
    with threads(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of poor images: so few steps are not enough
        start = time.process_time()
        sampler.fit_resample(X, y)
        seconds = time.process_time() - start
        made = sampler.sample(N_JUDGED, rare, random_state=seed)
    embedder = EfficientNetLite0Embedder(device="cpu").fit(X[:1])
    features = (embedder.transform(images).astype(np.float64) for images in (data.images[is_unseen], made))
    kid, _ = kernel_inception_distance(*features)
    return [{"task": task, "seed": seed, "precision": precision, "n_steps": n_steps, "seconds": seconds, "kid": kid}]


def compute_table(options):
    """Return the table, with what it lacked."""
    sizes = sorted({TASKS[task][0] for task in options.tasks})
    data = {size: training_part(load_images(options.data, size)) for size in sizes}
    return complete(
        options,
        functools.partial(judge, data=data),
        [(task, seed, precision) for task in options.tasks for seed in options.seeds for precision in PRECISIONS],
        by=("task", "seed", "precision"),
        digest=made_by([__file__], data.values()),
    )


def show(table):
    """Return as Markdown, for each task, seconds and KID, and the difference of KID with its 95 % interval."""
    lines = []
    for task, found in table.groupby("task", sort=False):
        wide = found.pivot(index="seed", columns="precision", values=["seconds", "kid"]).dropna()
        kid = wide["kid"]
        line = {"task": task, "seeds": len(wide)}
        line |= {f"seconds, {name}": wide["seconds", name].mean().round() for name in PRECISIONS}
        line |= {f"KID, {name}": f"{kid[name].mean():.2f} ± {kid[name].std():.2f}" for name in PRECISIONS}
        line["difference of KID"] = f"{(kid['bfloat16'] - kid['float32']).mean():+.2f}"
        if len(wide) > 1:
            low, high = ttest_rel(kid["bfloat16"], kid["float32"]).confidence_interval()
            line["difference of KID"] += f" ({low:+.2f} to {high:+.2f})"
        lines.append(line)
    return pd.DataFrame(lines).to_markdown(index=False)


def main():
    """Read the command line, compute what is missing, print the table."""
    parser = make_parser(__doc__, out="docs/results/precision.csv", seeds=range(4))
    add_choice(parser, "--tasks", list(TASKS))
    run(parser, parser.parse_args(), compute_table, show)


if __name__ == "__main__":
    main()
