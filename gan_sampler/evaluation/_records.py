"""Records of a run: which classifier, which treatment, in which order.

A *row* is a classifier together with the embedder before it, because that is a row of every table. Known names come in
the order of the tables, names of the user behind them in the order in which they first appear.
"""

TREATMENT_LABELS = {
    "none": "none",
    "class_weight": "class weights",
    "threshold": "tuned threshold",
    "random": "random",
    "smote": "SMOTE",
    "adasyn": "ADASYN",
    "augmentation": "augmentation",
    "deep_smote": "DeepSMOTE",
    "dcgan": "DCGAN",
    "dcgan_every_class": "DCGAN, every class",
    "conditional": "conditional DCGAN",
    "cyclegan": "CycleGAN",
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
THRESHOLD_SUFFIX = "+threshold"  # behind a name: the threshold is tuned on top


def row_key(record):
    """Return what tells rows apart: the names of classifier and embedder, None where it sees the images themselves."""
    return record["classifier"], record["embedder"]


def row_label(record, separator=" on "):
    """Name a classifier together with what it sees."""
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

    A treatment with a tuned threshold stands behind the one without.
    """
    found = list(dict.fromkeys(record["treatment"] for record in records))
    place = _places(TREATMENT_LABELS, [name.removesuffix(THRESHOLD_SUFFIX) for name in found])
    return sorted(found, key=lambda name: (place[name.removesuffix(THRESHOLD_SUFFIX)], name.endswith(THRESHOLD_SUFFIX)))


def treatment_labels(records):
    """Return the label of every treatment among records by its name, in order."""
    labels = {record["treatment"]: record["treatment_label"] for record in records}
    return {name: labels[name] for name in treatments_of(records)}


def repeat_key(record):
    """Return what is repeated: the names of split and seed."""
    return record["split"], record["seed"]


def repeats_of(records):
    """Return the (split, seed) of records, by seed and within a seed by fold."""
    found = {repeat_key(record) for record in records}
    return sorted(found, key=lambda repeat: (repeat[1], *_number_behind(repeat[0])))


def is_finished(record):
    """Return whether a cell has metrics, and did not fail."""
    return record["error"] is None and record["metrics"] is not None


def select(records, *, row=None, treatment=None, repeat=None):
    """Return the records of a row (given by any of its records), treatment or repeat; failed ones included."""
    return [
        record
        for record in records
        if (row is None or row_key(record) == row_key(row))
        and (treatment is None or record["treatment"] == treatment)
        and (repeat is None or repeat_key(record) == repeat)
    ]


def cells_asked_for(manifests, chosen):
    """Return the cells of all commands that can be compared with the chosen one, each place once.

    Where two commands mean different things by one name, the chosen one counts, and else the later one.
    """
    places = {}
    for manifest in [*(found for found in manifests if _is_comparable(found, chosen)), chosen]:
        for cell in manifest["cells"]:
            places[tuple(value for name, value in sorted(cell.items()) if name != "key")] = cell
    return list(places.values())


def _is_comparable(manifest, chosen):
    if any(manifest[name] != chosen[name] for name in ("source", "versions", "n_threads")):
        return False
    if not _agree(manifest["settings"], chosen["settings"]):  # each has those of its own samplers and classifiers
        return False
    if manifest["device"].partition(":")[0] != chosen["device"].partition(":")[0]:
        return False
    ours, theirs = manifest["splits"], chosen["splits"]
    kinds = [{name.split(" ")[0].rstrip(",") for name in splits} for splits in (ours, theirs)]  # official, random, fold
    return kinds[0] == kinds[1] and _agree(ours, theirs)


def _agree(ours, theirs):
    """Return whether two dicts have the same values under the keys that both have."""
    return all(ours[name] == theirs[name] for name in ours.keys() & theirs.keys())


def _places(known, found):
    """Return the place of every name: the known ones first, the others in the order in which they are found."""
    return {name: place for place, name in enumerate(dict.fromkeys([*known, *found]))}


def _number_behind(split):
    """Split "fold 10" into what sorts behind "fold 9"."""
    word, _, number = split.rpartition(" ")
    return (word, int(number)) if number.isdigit() else (split, 0)
