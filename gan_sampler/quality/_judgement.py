"""What the numbers of a quality report mean: reasons not to use the images, copies, and notes."""

MIN_SPREAD = 0.5  # of the real images' own; below it the generator has collapsed
MIN_PRECISION = 0.1
MIN_COVERAGE = 0.1  # of the coverage to be expected of as many real images
MAX_LOSS, MAX_LOSS_ERRORS = 0.2, 4  # of AUC, and standard errors of an AUC by chance
MAX_COPIES = 0.05  # more than among the real images themselves, and than two standard errors
MAX_P = 0.01  # of a memorisation that is worth a warning
OTHER_SOURCE = 0.7  # AUC of real against held-out images above which these are no sample of the same kind
NOTE_LOW_AUC, NOTE_HIGH_AUC, NOTE_COVERAGE, NOTE_LOSS = 0.35, 0.9, 0.5, 0.1  # beyond these a note is due


def find_faults(report):
    """Yield, as sentences, the reasons why the images of a report should not be used at all."""
    if report.spread < MIN_SPREAD:
        yield (
            f"they are much more alike than real ones, spread is {report.spread:.2f}, where 1 would be as varied and "
            f"less than {MIN_SPREAD} is called collapse"
        )
    if report.precision < MIN_PRECISION:
        yield f"they are unlike any real image, precision is {report.precision:.2f}, where real ones have near 1"
    if report.coverage < MIN_COVERAGE * report.coverage_expected:
        yield (
            f"hardly any real image has one like it among them, coverage is {report.coverage:.2f}, where as many real "
            f"ones would have {report.coverage_expected:.2f}"
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
    """Yield, as sentences, what numbers far from perfect mean for who wants to train with the images."""
    if min(report.auc_pixels, report.auc_features) < NOTE_LOW_AUC:
        yield "An AUC far below 0.5: the same images are in both sets, or there are few."
    if max(report.auc_pixels, report.auc_features) > NOTE_HIGH_AUC:
        yield (
            "A classifier separates nearly all synthetic from real images: where one class alone has them, artefacts "
            "stand for the class."
        )
    if report.coverage < NOTE_COVERAGE:
        yield "Most kinds of real images are missing."
    if report.utility_real is not None and report.utility_real - report.utility_synthetic > NOTE_LOSS:
        yield "A classifier learns less from these images than from real ones."


def find_copying(report):
    """Yield, as what can be said of the images, signs that they repeat the images trained on."""
    remedy = "Train on more images or less long, or let the networks see changed images (augmentation)."
    share = report.near_copies
    error = (share * (1 - share) / report.n_synthetic) ** 0.5
    if share - 2 * error > report.near_copies_among_real + MAX_COPIES:
        yield (
            f"are in part near-copies of real ones: near_copies is {share:.2f}, among the real "
            f"images themselves {report.near_copies_among_real:.2f}. Do not publish them as anonymous. {remedy}"
        )
    if report.memorisation is None or report.memorisation_p > MAX_P:
        return
    difference = max(report.reference["auc_pixels"], report.reference["auc_features"])
    found = f"memorisation is {report.memorisation:.2f} (p = {report.memorisation_p:.2g}), where .5 would be none"
    if difference > OTHER_SOURCE:
        yield (
            "are nearer to the images trained on than held-out ones are, but memorisation cannot be inferred from it: "
            f"{found}, but the held-out ones are of another kind, a classifier separates them from X_real with an AUC "
            f"of {difference:.2f}. Hold out images from the same source."
        )
    else:
        yield f"are nearer to single images trained on than held-out ones are: {found}. {remedy}"
