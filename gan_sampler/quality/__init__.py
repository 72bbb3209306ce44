"""Quality of synthetic images: fidelity, diversity, copies of training images, and utility for a classifier."""

from ._measures import import_prdc, kernel_inception_distance, realism
from ._registry import MEASURES, Measure, Sets, register
from ._report import MIN_IMAGES, QualityReport, QualityWarning, quality_report

__all__ = [
    "MEASURES",
    "MIN_IMAGES",
    "Measure",
    "QualityReport",
    "QualityWarning",
    "Sets",
    "import_prdc",
    "kernel_inception_distance",
    "quality_report",
    "realism",
    "register",
]
