"""Which snapshots of a training can be used, and which one is kept; without torch, so that reports load fast."""

# Limits that unseen real images keep and unusable images exceed; docs/training.md has the experiments.
UNUSABLE_SCORE = 10.0
UNUSABLE_SPECTRAL_DISTANCE = 0.7
LEAST_VARIANCE_RATIO = 0.2


def is_unusable(record):
    """Whether images are too far from the real ones to train a classifier with.

    This finds images that score far worse than unseen real images, that are nearly identical, blurred or noisy. Other
    images may still be poor, which :func:`gan_sampler.quality_report` measures.

    Parameters
    ----------
    record : dict of str to float
        From `PixelFrechetDistance`, or an entry of a history.

    Returns
    -------
    is_unusable : bool
    """
    return any(find_unusable(record))


def find_unusable(record):
    """Yield the names of the values for which images are unusable, each with what real images get."""
    # Negated comparisons, so that NaN is unusable.
    if not record["score"] <= UNUSABLE_SCORE:
        yield "score", "about 1"
    if not record["spectral_distance"] <= UNUSABLE_SPECTRAL_DISTANCE:
        yield "spectral_distance", "0"
    if not record["variance_ratio"] >= LEAST_VARIANCE_RATIO:
        yield "variance_ratio", "1"


def rank(record):
    """Return the sort key of snapshots, the smaller the better: usable images first, then the score.

    The score alone does not detect pixel noise.

    Parameters
    ----------
    record : dict of str to float
        From `PixelFrechetDistance` or `PixelFrechetDistanceByClass`, or an entry of a history. Of other records only
        ``score`` is used.

    Returns
    -------
    rank : tuple of (int, float)
        Number of classes with unusable images, and the score.
    """
    if "n_unusable" in record:
        return record["n_unusable"], record.get("mean_score", record["score"])
    return int("spectral_distance" in record and is_unusable(record)), record["score"]
