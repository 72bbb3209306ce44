"""The answer of a run in at most six sentences, which follow from the numbers by fixed rules.

A treatment is only called better or worse if a test is significant at .05 after Holm's correction, and a difference
that is not significant is never called "no effect".
"""

import numpy as np

from ._metrics import LOWER_IS_BETTER, METRIC_LABELS, depends_on_threshold
from ._records import THRESHOLD_SUFFIX, competing_labels, is_finished, repeat_key, repeats_of, treatment_labels
from ._room import room_closed
from ._statistics import overall_tests
from ._tables import count_asked, percent, signed, values_of

NOTHING = "none"
ALPHA = 0.05
# Samplers that generate images from noise; the others modify real images, which show a patient.
FROM_NOISE = (
    *("dcgan", "dcgan_alone", "dcgan_every_class", "conditional"),
    *("vision_aided", "vision_aided_alone", "vision_aided_every_class"),
)
_ALARMS = {"CollapseWarning": "a generator that has collapsed", "QualityWarning": "synthetic images of poor quality"}
_TOO_SMALL = 0.01  # difference of metrics in [0, 1] without practical relevance

METRICS_IN_WORDS = {
    "accuracy": "the share of test images that are classified correctly; the common class has most weight",
    "balanced_accuracy": "the mean over the classes of the share of their images that are recognised; guessing gives "
    "{chance:.2f}, 1 is perfect",
    "f1_weighted": "the F1 score (between missed images and false alarms) of every class, weighted by its size; 1 is "
    "perfect",
    "f1_macro": "the F1 score (between missed images and false alarms), all classes with equal weight; 1 is perfect",
    "f1_minority": "the F1 score (between missed images and false alarms) of the class {rarest}; 1 is perfect",
    "roc_auc": "the chance that an image of a class gets a higher score for it than one of another class; guessing "
    "gives 0.5, a perfect ranking 1",
    "average_precision": "the mean precision over all thresholds when looking for {rarest}; 1 is perfect",
    "geometric_mean": "the geometric mean over the classes of the share of their images that are recognised; 0 as soon "
    "as one class is never recognised, 1 is perfect",
    "recall_minority": "the share of the images of {rarest} that are recognised",
    "precision_minority": "the share of the images called {rarest} that are",
    "brier": "the mean squared error of the probabilities; 0 is perfect",
    "log_loss": "the mean of minus the logarithm of the probability given to the true class; 0 is perfect",
}


def question(records):
    """Return the question of the run, with the names of its classes."""
    classes, rarest = records[0]["classes"], records[0]["classes"][records[0]["rarest"]]
    if len(classes) == 2:
        other = next(name for name in classes if name != rarest)
        return (
            f"Should the rare class “{rarest}” be over-sampled before a classifier is trained to separate it from "
            f"“{other}”?"
        )
    which = _listed(classes, quote=True) if len(classes) <= 5 else f"{len(classes)} classes (rarest: “{rarest}”)"
    return f"Should the rarer classes be over-sampled before a classifier is trained on {which}?"


def metric_in_words(records, metric):
    """Return an explanation of the metric, as a clause."""
    classes = records[0]["classes"]
    words = METRICS_IN_WORDS.get(metric, METRIC_LABELS.get(metric, metric))
    return words.format(rarest=f"“{classes[records[0]['rarest']]}”", chance=1 / len(classes))


def answer(records, manifest, metric, *, tests=None):
    """Return the answer as at most six sentences.

    Parameters
    ----------
    records : list of dict
        Failed cells included.
    manifest : dict
        Description of the run; its ``missing``, if present, lists cells without a record.
    metric : str
        Name of the metric that decides.
    tests : DataFrame or None, default=None
        Result of `overall_tests` for this metric against doing nothing, if already computed.

    Returns
    -------
    sentences : list of str
        Which treatments are better than doing nothing; how much of the room to all real images is closed, if they are
        among the treatments; whether a treatment without a generator does as well; which are worse; which differences
        could be detected; failures, missing cells and warnings. Sentences that do not apply
        are left out.
    """
    finished = [record for record in records if is_finished(record)]
    troubles = _troubles(records, manifest.get("missing"))
    if not finished:
        return ["No cell has finished, so there is no answer yet.", *troubles]
    names = competing_labels(finished, metric)
    if NOTHING not in names:
        return [
            "Doing nothing was not among the treatments, so no gain over it can be computed: add “none” to them.",
            *troubles,
        ]
    if len(treatment_labels(finished)) == 1:
        return ["Only doing nothing was tried, so there is nothing to compare.", *troubles]
    if len(names) == 1:
        return [f"No treatment that can change {_name(metric)} was compared with doing nothing.", *troubles]
    if not values_of(finished, metric):
        return [
            f"No classifier of this run gives {_name(metric)}, so it cannot decide: choose another metric.",
            *troubles,
        ]
    if tests is None:
        tests = overall_tests(finished, against=NOTHING, metric=metric)
    tests = tests.dropna(subset=["difference"]).reset_index(drop=True)
    if tests.empty:
        return [
            f"No treatment has finished a repeat that doing nothing has, too, with a classifier that gives "
            f"{_name(metric)}, so there is no answer yet: wait until more cells have finished.",
            *troubles,
        ]
    if tests["p_holm"].isna().all():
        return [_untested(finished, tests, metric, manifest.get("missing")), *troubles]
    sentences = [
        _better(tests, metric),
        _room(finished, tests, metric),
        _generators(finished, tests, metric),
        _worse(tests, metric),
        _power(finished, tests, metric),
    ]
    return [sentence[0].upper() + sentence[1:] for sentence in sentences if sentence] + troubles


def is_generator(records, treatment):
    """Return whether a treatment trains a generator: a known one, or one with a history of training."""
    if treatment.removesuffix(THRESHOLD_SUFFIX) in FROM_NOISE:
        return True
    return any(record.get("history") for record in records if record["treatment"] == treatment)


def is_close_to_real(treatment):
    """Return whether the images of a treatment may be modified real images: all but those generated from noise."""
    return treatment.removesuffix(THRESHOLD_SUFFIX) not in FROM_NOISE


def best_of(tests, metric):
    """Return the row of the best difference: the highest, or the lowest for errors."""
    ordered = tests.dropna(subset=["difference"]).sort_values("difference", ascending=metric in LOWER_IS_BETTER)
    return next(ordered.itertuples())


def _untested(records, tests, metric, missing):
    best = best_of(tests, metric)
    n_repeats = len(repeats_of(records))
    largest = f"(the largest: {best.treatment_label}, {signed(best.difference)} {_name(metric)})"
    if missing and len({*repeats_of(records), *map(repeat_key, missing)}) > 1:
        return f"No test is possible yet {largest}: wait until more repeats have finished."
    why = "With one seed" if n_repeats == 1 else "With fewer than two repeats that both sides of a comparison have,"
    return (
        f"{why} no test is possible, so any of these differences may be chance {largest}: run at least three seeds, "
        "better ten, before deciding."
    )


def _better(tests, metric):
    found = tests[tests["is_significant"] & (_signs(tests, metric) > 0)]
    n_rows = int(tests["n_classifiers"].max())
    over = f"on average over {n_rows} classifiers" if n_rows > 1 else "with the one classifier tried"
    if found.empty:
        best = best_of(tests, metric)
        return (
            f"No treatment is significantly better than doing nothing (at .05 after Holm's correction); the largest "
            f"difference in {_name(metric)} {over} is that of {best.treatment_label}, {_difference(best)}, and not "
            "significant."
        )
    best = best_of(found, metric)
    verb, which = ("is", "it changes") if len(found) == 1 else ("are", f"{best.treatment_label} gains most and changes")
    return (
        f"{_listed(found['treatment_label'])} {verb} significantly better than doing nothing (at .05 after Holm's "
        f"correction): {which} {_name(metric)} by {_difference(best)} {over}."
    )


def _room(records, tests, metric):
    """Return a sentence on the share of the room to all real images that the best treatments close.

    Only for metrics of scores: others depend mostly on the threshold, which a treatment may move beyond that of all
    real images.
    """
    if depends_on_threshold(metric) or metric in LOWER_IS_BETTER:
        return None
    room = room_closed(records, metric=metric)
    room = (
        room[room["classifier"] == room["classifier"].iloc[0]] if len(room) else room
    )  # the mean, if there are several
    if room["room"].isna().all():  # also of none
        return None
    first = next(room.itertuples())
    gain = f"all real images of the rare class instead, a reference and no treatment, change {_name(metric)} by "
    gain += _interval(first.room, first.room_low, first.room_high)
    generates = [is_generator(records, name) for name in tests["treatment"]]
    chosen = [best_of(of_kind, metric).treatment for of_kind in (tests, tests[generates]) if len(of_kind)]
    closed = room[room["treatment"].isin(chosen)].dropna(subset=["low"]).set_index("treatment")
    if closed.empty:
        return f"{gain}; the share of this room that treatments close cannot be estimated."
    parts = [
        f"{row.treatment_label} closes {_share(row)}"
        for row in (closed.loc[name] for name in dict.fromkeys(chosen) if name in closed.index)
    ]
    return f"{gain}; of this room {_listed(parts)}."


def _share(row):
    """Return a share with its interval, in percent."""
    return f"{percent(row.share)} (95 % interval {percent(row.low)} to {percent(row.high)})"


def _generators(records, tests, metric):
    """Return a sentence on whether the best generator is better than all treatments without one."""
    generates = np.array([is_generator(records, name) for name in tests["treatment"]])
    if not generates.any():
        return None
    best_generator = best_of(tests[generates], metric)
    simple = list(tests["treatment"][~generates])
    if not simple:
        return "Only generators were compared with doing nothing, so a simpler treatment might do as well."
    # The generator was selected by its result, so p-values are corrected for the number of generators (Bonferroni).
    among = [record for record in records if record["treatment"] in (best_generator.treatment, *simple)]
    rivals = overall_tests(among, against=best_generator.treatment, metric=metric).dropna(subset=["difference"])
    if rivals.empty:  # they have no repeat in common yet
        return None
    p_values = np.minimum(rivals["p_holm"] * generates.sum(), 1)
    signs = _signs(rivals, metric)
    best = best_of(rivals, metric)
    p_best = p_values[best.Index]
    name = best_generator.treatment_label
    beaten = rivals[(p_values < ALPHA) & (signs < 0)]
    if p_best < ALPHA and signs[best.Index] > 0:
        return (
            f"No generator is needed: {best.treatment_label}, which trains none, is significantly better than {name}, "
            f"the best generator, by {_difference(best)}."
        )
    if len(beaten) == len(rivals):
        return (
            f"No treatment without a generator does as well: {name} is significantly better than each of them; "
            f"{best.treatment_label} comes closest, with {_difference(best)}."
        )
    return (
        f"There is no evidence that a generator is needed: {best.treatment_label}, which trains none, differs from "
        f"{name}, the best generator, by {_difference(best)}, which is not significant."
    )


def _worse(tests, metric):
    signs = _signs(tests, metric)
    found = tests[tests["is_significant"] & (signs < 0)]
    if found.empty:
        return "None is significantly worse than doing nothing."
    worst = next(found.sort_values("difference", ascending=metric not in LOWER_IS_BETTER).itertuples())
    if len(found) == 1:
        return f"{worst.treatment_label} is significantly worse than doing nothing, by {_difference(worst)}."
    return (
        f"{_listed(found['treatment_label'])} are significantly worse than doing nothing, most of all "
        f"{worst.treatment_label} by {_difference(worst)}."
    )


def _power(records, tests, metric):
    """Return a sentence on the size of differences that the run could have detected."""
    open_ = tests[~tests["is_significant"].astype(bool) & tests["p_holm"].notna()]
    n_repeats, n_test = len(repeats_of(records)), records[0]["n_test"]
    with_what = f"{n_repeats} repeats and {n_test:,} test images each"
    if open_.empty:
        return None
    half_width = float(np.median((open_["high"] - open_["low"]) / 2))
    largest = float(np.max(np.abs(open_[["low", "high"]].to_numpy())))
    if largest <= _TOO_SMALL:
        return (
            f"With {with_what}, the intervals of those that are not significant exclude differences beyond "
            f"±{largest:.3f}."
        )
    return (
        f"“Not significant” does not mean “no effect”: with {with_what}, the intervals have a half-width of "
        f"{half_width:.3f} (median), so smaller differences could not be detected."
    )


def _troubles(records, missing):
    """Return a sentence on failures, missing cells and warnings of poor images."""
    failed = [record for record in records if record["error"] is not None]
    n_asked = count_asked(records, missing)
    n_missing = n_asked - len(records)
    parts = []
    if failed:
        parts.append(f"{len(failed)} of {n_asked} cells failed")
    if n_missing:
        parts.append(f"{n_missing} of {n_asked} cells {'has' if n_missing == 1 else 'have'} not been computed")
    alarms = []
    for category, words in _ALARMS.items():
        labels = {
            record["treatment_label"]: None
            for record in records
            if any(found["category"] == category for found in record.get("warnings") or [])
        }
        if labels:
            alarms.append(f"of {words} ({_listed(labels)})")
    if alarms:
        parts.append(f"there were warnings {_listed(alarms)}")
    if not parts:
        return []
    marked = "; results that they leave incomplete are marked in the tables" if failed or n_missing else ""
    return [f"Note that {_listed(parts)}{marked}."]


def _signs(tests, metric):
    """Return differences with the sign changed for errors, so that positive is better."""
    return tests["difference"] * (-1 if metric in LOWER_IS_BETTER else 1)


def in_sentence(label):
    """Return a label for use within a sentence; names and abbreviations keep their capitals."""
    return label if label[:2].isupper() or label.startswith("Brier") else label[0].lower() + label[1:]


def _name(metric):
    return in_sentence(METRIC_LABELS.get(metric, metric))


def _interval(value, low, high):
    return signed(value) + (f" (95 % interval {signed(low)} to {signed(high)})" if np.isfinite(low) else "")


def _difference(test):
    return _interval(test.difference, test.low, test.high)


def _listed(words, quote=False):
    words = [f"“{word}”" if quote else str(word) for word in words]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
