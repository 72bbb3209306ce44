"""Records of a run: names and order of classifiers and treatments.

A *row* is a classifier together with its embedder, as in the rows of tables. Built-in names come first, in the order of
the tables, and then names of the user, in the order in which they first appear. References come last.
"""

from ._metrics import depends_on_threshold

TREATMENT_LABELS = {
    "none": "none",
    "class_weight": "class weights",
    "threshold": "tuned threshold",
    "random": "random",
    "smote": "SMOTE",
    "adasyn": "ADASYN",
    "augmentation": "augmentation",
    "augmentation_repetition": "augmentation + repetition",
    "augmentation_every_class": "augmentation, every class",
    "dcgan": "DCGAN",
    "dcgan_alone": "DCGAN, without repetition",
    "dcgan_every_class": "DCGAN, every class",
    "vision_aided": "vision-aided DCGAN",
    "vision_aided_alone": "vision-aided DCGAN, without repetition",
    "vision_aided_every_class": "vision-aided DCGAN, every class",
    "conditional": "conditional DCGAN",
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
REFERENCE = "reference"  # kind of a treatment that is only shown for comparison


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
    kinds = _kinds(records)
    place = _places(TREATMENT_LABELS, [name.removesuffix(THRESHOLD_SUFFIX) for name in kinds])

    def key(name):
        plain = name.removesuffix(THRESHOLD_SUFFIX)
        return kinds[name] == REFERENCE, place[plain], plain != name

    return sorted(kinds, key=key)


def treatment_labels(records):
    """Return the label of every treatment among records by its name, in order."""
    labels = {record["treatment"]: record["treatment_label"] for record in records}
    return {name: labels[name] for name in treatments_of(records)}


def references_of(records):
    """Return the names of the references among records: upper limits that are shown, but neither tested nor chosen."""
    return [name for name, kind in _kinds(records).items() if kind == REFERENCE]


def same_scores(records):
    """Return for every treatment the name of the one whose scores it has: itself, or the one without a threshold.

    A threshold is tuned on the scores of the same classifier, so that it changes predictions, but neither ranks nor
    probabilities.
    """
    kinds = _kinds(records)
    plain = {
        name: "none" if kind == "threshold" else name.removesuffix(THRESHOLD_SUFFIX) for name, kind in kinds.items()
    }
    return {name: plain[name] if plain[name] in kinds else name for name in kinds}


def distinct_labels(records, metric):
    """Return the label of every treatment that has values of its own in a metric, references included, in order.

    A tuned threshold changes no metric of scores or probabilities: with the treatment that has the same scores among
    the records, its row would only repeat the other.
    """
    labels, like = treatment_labels(records), same_scores(records)
    return {n: label for n, label in labels.items() if depends_on_threshold(metric) or like[n] == n}


def competing_labels(records, metric):
    """Return the label of every treatment that is tested and can be chosen, by its name, in order."""
    references = references_of(records)
    return {name: label for name, label in distinct_labels(records, metric).items() if name not in references}


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


def _kinds(records):
    """Return the kind of every treatment among records, in the order in which they first appear."""
    kinds = {}
    for record in records:
        kinds.setdefault(record["treatment"], record["treatment_kind"])
    return kinds


def _places(known, found):
    """Return the position of every name: known names first, then the others in the given order."""
    return {name: place for place, name in enumerate(dict.fromkeys([*known, *found]))}


def _number_behind(split):
    """Return a sort key of the name of a split, so that "fold 10" follows "fold 9"."""
    word, _, number = split.rpartition(" ")
    return (word, int(number)) if number.isdigit() else (split, 0)
