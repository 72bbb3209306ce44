"""Records of a run: names and order of classifiers and treatments.

A *row* is a classifier together with its embedder, as in the rows of tables. Built-in names come first, in the order of
the tables, and then names of the user, in the order in which they first appear.
"""

TREATMENT_LABELS = {
    "none": "none",
    "class_weight": "class weights",
    "threshold": "tuned threshold",
    "random": "random",
    "smote": "SMOTE",
    "adasyn": "ADASYN",
    "augmentation": "augmentation",
    "augmentation_repetition": "augmentation + repetition",
    "deep_smote": "DeepSMOTE",
    "dcgan": "DCGAN",
    "dcgan_every_class": "DCGAN, every class",
    "conditional": "conditional DCGAN",
    "cyclegan": "CycleGAN",
    "all_real": "all real images (reference)",
}
CLASSIFIER_LABELS = {
    "tree": "Decision tree",
    "forest": "Random forest",
    "svm": "SVM",
    "logistic": "Logistic regression",
    "ann": "ANN",
    "cnn": "CNN",
    "densenet121": "DenseNet121",
}
THRESHOLD_SUFFIX = "+threshold"  # of a name: the threshold is tuned in addition


def row_key(record):
    """Return the key of a row: the names of classifier and embedder; the embedder is None for classifiers of images."""
    return record["classifier"], record["embedder"]


def row_label(record, separator=" on "):
    """Return the readable name of a classifier with its input."""
    if record["embedder"] is None:
        return record["classifier_label"]
    return record["classifier_label"] + separator + record["embedder_label"]


def rows_of(records):
    """Return one record of every row, in order: classifiers as in `CLASSIFIER_LABELS`, embedders by name within."""
    first = {}
    for record in records:
        first.setdefault(row_key(record), record)
    place = _places(CLASSIFIER_LABELS, [classifier for classifier, _ in first])
    return sorted(first.values(), key=lambda record: (place[record["classifier"]], record["embedder"] or ""))


def treatments_of(records):
    """Return the names of the treatments among records, in order.

    A treatment with a tuned threshold follows the one without.
    """
    found = list(dict.fromkeys(record["treatment"] for record in records))
    place = _places(TREATMENT_LABELS, [name.removesuffix(THRESHOLD_SUFFIX) for name in found])
    return sorted(found, key=lambda name: (place[name.removesuffix(THRESHOLD_SUFFIX)], name.endswith(THRESHOLD_SUFFIX)))


def treatment_labels(records):
    """Return the label of every treatment among records by its name, in order."""
    labels = {record["treatment"]: record["treatment_label"] for record in records}
    return {name: labels[name] for name in treatments_of(records)}


def repeat_key(record):
    """Return the key of a repeat: split and seed."""
    return record["split"], record["seed"]


def repeats_of(records):
    """Return the (split, seed) of records, sorted by seed and fold."""
    found = {repeat_key(record) for record in records}
    return sorted(found, key=lambda repeat: (repeat[1], *_number_behind(repeat[0])))


def is_finished(record):
    """Return whether a cell has metrics and has not failed."""
    return record["error"] is None and record["metrics"] is not None


def select(records, *, row=None, treatment=None, repeat=None):
    """Return the records of a row (given by any of its records), treatment or repeat, including failed ones."""
    return [
        record
        for record in records
        if (row is None or row_key(record) == row_key(row))
        and (treatment is None or record["treatment"] == treatment)
        and (repeat is None or repeat_key(record) == repeat)
    ]


def cells_asked_for(manifests, chosen):
    """Return the cells of all commands that are comparable with the chosen one, each position of the grid once.

    If two commands use one name for different things, the chosen command has priority, and otherwise the later one.
    """
    places = {}
    for manifest in [*(found for found in manifests if _is_comparable(found, chosen)), chosen]:
        for cell in manifest["cells"]:
            places[tuple(value for name, value in sorted(cell.items()) if name != "key")] = cell
    return list(places.values())


def _is_comparable(manifest, chosen):
    if any(manifest[name] != chosen[name] for name in ("source", "versions", "n_threads")):
        return False
    # Each command has the settings of its own samplers and classifiers.
    if not _agree(manifest["settings"], chosen["settings"]):
        return False
    if manifest["device"].partition(":")[0] != chosen["device"].partition(":")[0]:
        return False
    ours, theirs = manifest["splits"], chosen["splits"]
    kinds = [{name.split(" ")[0].rstrip(",") for name in splits} for splits in (ours, theirs)]  # official, random, fold
    return kinds[0] == kinds[1] and _agree(ours, theirs)


def _agree(ours, theirs):
    """Return whether two dicts have the same values for all common keys."""
    return all(ours[name] == theirs[name] for name in ours.keys() & theirs.keys())


def _places(known, found):
    """Return the position of every name: known names first, then the others in the given order."""
    return {name: place for place, name in enumerate(dict.fromkeys([*known, *found]))}


def _number_behind(split):
    """Return a sort key of the name of a split, so that "fold 10" follows "fold 9"."""
    word, _, number = split.rpartition(" ")
    return (word, int(number)) if number.isdigit() else (split, 0)
