"""Records of a simulated run, drawn so that it is known which treatment is better."""

import numpy as np

from gan_sampler.evaluation._metrics import evaluate

TREATMENTS = {
    "none": ("Nothing", "none"),
    "class_weight": ("Class weights", "weights"),
    "threshold": ("Tuned threshold", "threshold"),
    "random": ("Random over-sampling", "sampler"),
    "smote": ("SMOTE", "sampler"),
    "adasyn": ("ADASYN", "sampler"),
    "augmentation": ("Augmentation", "sampler"),
    "dcgan": ("DCGAN", "sampler"),
    "dcgan_every_class": ("DCGAN, every class", "sampler"),
    "conditional": ("Conditional DCGAN", "sampler"),
    "smote+threshold": ("SMOTE + tuned threshold", "sampler"),
    "all_real": ("All real images (reference)", "reference"),
    "dcgan_alone": ("DCGAN, without repetition", "sampler"),
    "vision_aided": ("Vision-aided DCGAN", "sampler"),
    "vision_aided_alone": ("Vision-aided DCGAN, without repetition", "sampler"),
    "vision_aided_every_class": ("Vision-aided DCGAN, every class", "sampler"),
}
CLASSIFIERS = {
    "tree": "Decision tree",
    "forest": "Random forest",
    "svm": "SVM",
    "logistic": "Logistic regression",
    "ann": "ANN",
    "cnn": "CNN",
    "densenet121": "DenseNet121",
}
EMBEDDERS = {"resnet18": "ResNet18", "efficientnet_lite0": "EfficientNet-Lite0", None: None}
ROWS = (("tree", "resnet18"), ("forest", "resnet18"), ("svm", "resnet18"), ("cnn", None))
GENERATORS = (
    *("dcgan", "dcgan_alone", "dcgan_every_class", "conditional"),
    *("vision_aided", "vision_aided_alone", "vision_aided_every_class"),
)
SHARES = {2: (0.35, 0.65), 4: (0.4, 0.3, 0.2, 0.1)}  # of the classes among the test images


def make_records(
    classes=("normal", "pneumonia"),
    *,
    treatments=("none", "smote", "dcgan"),
    rows=ROWS,
    seeds=(0, 1, 2),
    split="official",
    gains=(),
    n_test=120,
    n_train=400,
    noise=0.35,
    groups=True,
):
    """Return the records of all cells.

    Parameters
    ----------
    gains : dict of str to float
        How much farther apart a treatment draws the scores of the classes; 0 for those left out.
    noise : float
        Spread of the scores over the trainings.
    """
    return [
        make_record(
            classes,
            treatment,
            row,
            seed,
            split=split,
            gain=dict(gains).get(treatment, 0.0),
            n_test=n_test,
            n_train=n_train,
            noise=noise,
            groups=groups,
        )
        for seed in seeds
        for row in rows
        for treatment in treatments
    ]


def make_record(classes, treatment, row, seed, *, split, gain, n_test, n_train, noise, groups):
    """Return the record of one cell; images have a difficulty of their own, which all cells share."""
    classes = list(classes)
    n_classes = len(classes)
    shares = SHARES.get(n_classes, (1 / n_classes,) * n_classes)
    y_true = np.repeat(np.arange(n_classes), np.maximum(1, np.round(np.multiply(shares, n_test)).astype(int)))
    n_test = len(y_true)
    of_images = np.random.RandomState(0 if split == "official" else 100 + seed).normal(size=(n_test, n_classes))
    place = list(TREATMENTS).index(treatment) if treatment in TREATMENTS else 99
    of_training = np.random.RandomState([seed, list(CLASSIFIERS).index(row[0]), place])
    scores = (1.0 + gain) * np.eye(n_classes)[y_true] + 0.8 * of_images
    scores = scores + noise * of_training.normal(size=scores.shape)
    probabilities = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    y_pred = scores.argmax(axis=1)
    if n_classes == 2:
        scores = np.column_stack([scores[:, 0] - scores[:, 1], scores[:, 1] - scores[:, 0]])
    classifier, embedder = row
    ranks = classifier != "tree"
    has_probabilities = classifier != "svm"
    counts = dict(zip(classes, (int(share * n_train) for share in shares), strict=True))
    rarest = int(np.argmin(list(counts.values())))
    label, kind = TREATMENTS.get(treatment, (treatment, "sampler"))
    most = max(counts.values())
    resampled = dict.fromkeys(classes, most) if kind == "sampler" else counts
    n_new = sum(resampled.values()) - sum(counts.values())
    metrics = evaluate(
        y_true, y_pred, scores if ranks else None, probabilities if has_probabilities else None, classes, rarest
    )
    is_generator = treatment in GENERATORS
    return {
        "key": f"{treatment}-{classifier}-{embedder}-{split}-{seed}",
        "data": "toy",
        "source": "0" * 16,
        "split": split,
        "seed": seed,
        "treatment": treatment,
        "treatment_label": label,
        "treatment_kind": kind,
        "classifier": classifier,
        "classifier_label": CLASSIFIERS[classifier],
        "embedder": embedder,
        "embedder_label": EMBEDDERS[embedder],
        "ranks": ranks,
        "classes": classes,
        "rarest": rarest,
        "class_counts": counts,
        "class_counts_test": dict(zip(classes, np.bincount(y_true, minlength=n_classes).tolist(), strict=True)),
        "class_counts_resampled": resampled,
        "n_train": sum(counts.values()),
        "n_train_resampled": sum(resampled.values()),
        "n_synthetic": 0 if treatment in ("none", "class_weight", "threshold", "random") else n_new,
        "n_test": n_test,
        "rows": (1000 + np.arange(n_test)).tolist(),
        "groups": (np.arange(n_test) // 2).tolist() if groups else None,
        "y_true": y_true.tolist(),
        "y_pred": y_pred.tolist(),
        "scores": scores.tolist() if ranks else probabilities.tolist(),
        "probabilities": probabilities.tolist() if has_probabilities else None,
        "threshold": None,
        "metrics": {name: None if np.isnan(value) else value for name, value in metrics.items()},
        "seconds": {
            "sampler": 0.2 + 60.0 * is_generator + place if kind == "sampler" else 0.0,
            "embedder": 3.0 if embedder else 0.0,
            "embedder_new": 1.0 if embedder and kind == "sampler" else 0.0,
            "fit": 1.5,
            "predict": 0.1,
        },
        "peak_memory": 300_000_000,
        "sampler_memory": (200 + 400 * is_generator) * 1_000_000 if kind == "sampler" else None,
        "warnings": [],
        "history": _history(classes[rarest], of_training) if is_generator else {},
        "error": None,
        "traceback": None,
        "host": "a-host",
        "device": "cpu",
        "date": "2026-01-02T03:04:05+00:00",
        "n_threads": 1,
        "versions": {"gan-sampler": "0.1.0", "torch": "2.8.0"},
        "settings": {"sampler": f"{label}, as it is", "classifier": f"{CLASSIFIERS[classifier]}()"},
    }


def _history(name, random_state):
    steps = range(50, 501, 50)
    return {
        name: [
            {
                "step": step,
                "seconds": step / 10,
                "loss_discriminator": 0.7 + 0.1 * random_state.normal(),
                "loss_generator": 1.0 + 0.2 * random_state.normal(),
                "score": 1.0 / step**0.5 + 0.01 * random_state.normal(),
            }
            for step in steps
        ]
    }


def fail(record, error="ValueError: too few images"):
    """Return the record of the same cell, had it failed."""
    gone = ("y_pred", "scores", "probabilities", "metrics")
    return record | dict.fromkeys(gone) | {"error": error, "traceback": f"Traceback (most recent call last):\n{error}"}


def warn(record, category="CollapseWarning", source="sampler"):
    """Return the record with a warning."""
    message = f"The images drawn for class 'normal' are alike ({category})."
    return record | {"warnings": [{"category": category, "message": message, "from": source}]}


def make_manifest(records, scoring="balanced_accuracy", **values):
    """Return what is known of the whole run."""
    first = records[0]
    return {
        "name": "toy",
        "command": "gan-sampler compare toy --seeds 0 1 2",
        "started": "2026-01-02T03:04:05+00:00",
        "seconds": 75.0,
        "n_jobs": 2,
        "n_threads": 1,
        "device": "cpu",
        "scoring": scoring,
        "shape": [520, 32, 32],
        "classes": first["classes"],
        "class_counts": {"train": first["class_counts"], "test": first["class_counts_test"]},
        "split_about": "The split that came with the data.",
        "groups_about": "Images of one patient stand on one side: 60 patients in the test images.",
        "embedders": {"resnet18": "ResNet18 with ImageNet weights, 512 features."},
        "settings": {"image size": "32 x 32", "steps of a GAN": "500"},
        "versions": {"gan-sampler": "0.1.0", "torch": "2.8.0"},
        "filenames": None,
        "equal_length": True,
    } | values
