from ._chest_xray import fetch_chest_xray
from ._elpv import load_elpv
from ._folder import load_image_folder
from ._medmnist import fetch_medmnist
from ._npz import load_npz
from ._saving import save_image_folder

__all__ = [
    "fetch_chest_xray",
    "fetch_medmnist",
    "load_elpv",
    "load_image_folder",
    "load_npz",
    "save_image_folder",
]
