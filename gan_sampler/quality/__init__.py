"""How good, how varied and how copied synthetic images are, and whether a classifier can learn from them."""

from ._measures import import_prdc, kernel_inception_distance, realism
from ._report import MIN_IMAGES, QualityReport, QualityWarning, quality_report

__all__ = [
    "MIN_IMAGES",
    "QualityReport",
    "QualityWarning",
    "import_prdc",
    "kernel_inception_distance",
    "quality_report",
    "realism",
]
