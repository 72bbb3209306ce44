from ._chest_xray import fetch_chest_xray
from ._elpv import load_elpv
from ._folder import load_image_folder
from ._medmnist import fetch_medmnist
from ._saving import save_image_folder

__all__ = ["fetch_chest_xray", "fetch_medmnist", "load_elpv", "load_image_folder", "save_image_folder"]
