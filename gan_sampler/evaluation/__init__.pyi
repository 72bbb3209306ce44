from ._compare import Evaluation, compare, prepare
from ._comparison import Comparison
from ._data import ImageData, from_arrays, load
from ._models import Classifier, Embedder
from ._settings import Settings
from ._splits import Split, make_splits
from ._store import Store, StoreError
from ._treatments import Treatment

__all__ = [
    "Classifier",
    "Comparison",
    "Embedder",
    "Evaluation",
    "ImageData",
    "Settings",
    "Split",
    "Store",
    "StoreError",
    "Treatment",
    "compare",
    "from_arrays",
    "load",
    "make_splits",
    "prepare",
]
