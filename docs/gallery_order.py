"""The order of the gallery: as one would read it, first steps first."""

ORDER = [
    "first_oversampling",
    "choosing_a_sampler",
    "quality_report",
    "does_it_help",
    "pipeline",
    "several_classes",
    "few_images",
    "vision_aided_training",
    "pixel_baselines",
    "solar_cells",
    "memorisation",
    "displays",
    "save_and_resume",
    "pytorch_training",
    "streaming",
    "callback",
    "skorch_training",
    "lightning_training",
    "own_networks_and_loss",
]


class ReadingOrder:
    """Sort scripts by `ORDER`; new ones come last."""

    def __init__(self, folder):
        self.folder = folder

    def __call__(self, filename):
        """Return what a script is sorted by."""
        stem = filename.removesuffix(".py").removeprefix("plot_")
        return (ORDER.index(stem) if stem in ORDER else len(ORDER), stem)
