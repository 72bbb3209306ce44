from ._balance import Balancing
from ._info import describe_file
from ._quality import FolderQuality
from ._sample import load_fitted, sample_to_folder
from ._train import FolderTraining

__all__ = ["Balancing", "FolderQuality", "FolderTraining", "describe_file", "load_fitted", "sample_to_folder"]
