"""Interpretation of a quality report: faults, copies of training images, and notes."""

MIN_SPREAD = 0.5  # relative to the real images; below it, the generator has collapsed
MIN_PRECISION = 0.1
MIN_COVERAGE = 0.1  # relative to the expected coverage of the same number of real images
MAX_LOSS, MAX_LOSS_ERRORS = 0.2, 4  # of AUC, and in standard errors of an AUC of 0.5
MAX_COPIES = 0.05  # above the share among the real images, plus two standard errors
MAX_P = 0.01  # p value below which memorisation is warned about
OTHER_SOURCE = 0.7  # AUC of real against held-out images above which they are not from the same source
NOTE_LOW_AUC, NOTE_HIGH_AUC, NOTE_COVERAGE, NOTE_LOSS = 0.35, 0.9, 0.5, 0.1  # limits of notes


def find_faults(report):
    """Yield the reasons why the images of a report should not be used, as clauses."""
    if report.spread < MIN_SPREAD:
        yield (
            f"they vary much less than real ones (mode collapse), spread is {report.spread:.2f}, where real images "
            f"have about 1 and {MIN_SPREAD} is the least"
        )
    if report.precision < MIN_PRECISION:
        yield f"they are unlike any real image, precision is {report.precision:.2f}, where real images have about 1"
    if report.coverage < MIN_COVERAGE * report.coverage_expected:
        yield (
            f"they cover few kinds of real images, coverage is {report.coverage:.2f}, where the same number of real "
            f"images would have {report.coverage_expected:.2f}"
        )
    if report.utility_real is not None:
        gained, possible = report.utility_synthetic - 0.5, report.utility_real - 0.5
        error = ((report.n_real + report.n_rest + 1) / (12 * report.n_real * report.n_rest)) ** 0.5
        least = MAX_LOSS_ERRORS * error
        if possible > least and possible - gained > max(MAX_LOSS, least) and gained < possible / 2:
            yield (
                f"a classifier learns little from them, utility is an AUC of {report.utility_synthetic:.2f}, where "
                f"real images give {report.utility_real:.2f}"
            )


def find_notes(report):
    """Yield notes on numbers that are far from perfect, as sentences."""
    if min(report.auc_pixels, report.auc_features) < NOTE_LOW_AUC:
        yield "An AUC far below 0.5: the real and the synthetic set share images, or hold very few."
    if max(report.auc_pixels, report.auc_features) > NOTE_HIGH_AUC:
        yield (
            "A classifier separates nearly all synthetic from real images: if only one class has synthetic images, "
            "their artefacts predict the class."
        )
    if report.coverage < NOTE_COVERAGE:
        yield "Most kinds of real images are missing."
    if report.utility_real is not None and report.utility_real - report.utility_synthetic > NOTE_LOSS:
        yield "A classifier learns less from these images than from real ones."


def find_copying(report):
    """Yield signs that the images repeat training images, as predicates of a sentence."""
    remedy = "Train on more images, for fewer steps, or with augmentation."
    share = report.near_copies
    error = (share * (1 - share) / report.n_synthetic) ** 0.5
    if share - 2 * error > report.near_copies_among_real + MAX_COPIES:
        yield (
            f"are in part near-copies of real ones: near_copies is {share:.2f}, and "
            f"{report.near_copies_among_real:.2f} among the real images. Do not publish them as anonymous. {remedy}"
        )
    if report.memorisation is None or report.memorisation_p > MAX_P:
        return
    difference = max(report.reference["auc_pixels"], report.reference["auc_features"])
    found = f"memorisation is {report.memorisation:.2f} (p = {report.memorisation_p:.2g}), where 0.5 is no memorisation"
    if difference > OTHER_SOURCE:
        yield (
            "are nearer to the training images than held-out ones are, but this is no evidence of memorisation: "
            f"{found}, but the held-out images are from another source: a classifier separates them from X_real with "
            f"an AUC of {difference:.2f}. Hold out images from the same source."
        )
    else:
        yield f"are nearer to single training images than held-out ones are: {found}. {remedy}"
