"""Named data sets and folders of image files, as arrays of images, labels and groups."""

from gan_sampler.datasets._chest_xray import fetch_chest_xray
from gan_sampler.datasets._elpv import load_elpv
from gan_sampler.datasets._folder import load_image_folder
from gan_sampler.datasets._medmnist import fetch_medmnist

__all__ = ["fetch_chest_xray", "fetch_medmnist", "load_elpv", "load_image_folder"]
