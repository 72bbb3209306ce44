"""Which snapshots of a training can be used, and which of them is kept; needs no torch, so that reports load fast."""

# What unseen real images stay within and unusable ones do not; docs/training.md shows both.
UNUSABLE_SCORE = 10.0
UNUSABLE_SPECTRAL_DISTANCE = 0.7
LEAST_VARIANCE_RATIO = 0.2


def is_unusable(record):
    """Whether images are so far from the real ones that nothing can be learnt from them.

    So are images that score far worse than unseen real images do, that are all alike, that are a blur, or that are
    full of speckle. Images that pass may still be poor: that takes :func:`gan_sampler.quality_report`.

    Parameters
    ----------
    record : dict of str to float
        What `PixelFrechetDistance` returned, or an entry of a history, which holds the same.

    Returns
    -------
    is_unusable : bool
    """
    return not (  # so that a value that is no number is unusable
        record["score"] <= UNUSABLE_SCORE
        and record["spectral_distance"] <= UNUSABLE_SPECTRAL_DISTANCE
        and record["variance_ratio"] >= LEAST_VARIANCE_RATIO
    )


def rank(record):
    """Return what snapshots are chosen by, the smaller the better: usable images first, then by score.

    The score alone would choose images of the right shapes that are full of speckle, which it cannot see.

    Parameters
    ----------
    record : dict of str to float
        What `PixelFrechetDistance` or `PixelFrechetDistanceByClass` returned, or an entry of a history. Of other
        records ``score`` alone counts.

    Returns
    -------
    rank : tuple of (int, float)
        How many classes have unusable images, and the score.
    """
    if "n_unusable" in record:
        return record["n_unusable"], record.get("mean_score", record["score"])
    return int("spectral_distance" in record and is_unusable(record)), record["score"]
