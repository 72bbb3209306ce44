"""Use the installed wheel as a newcomer would; run by `make wheel` in an environment that holds nothing else."""

import importlib.metadata
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

import gan_sampler


def main():
    """Fail unless the wheel is complete and over-samples."""
    package = Path(gan_sampler.__file__).parent
    assert package.is_relative_to(sys.prefix), f"gan_sampler came from {package}, not from the wheel in {sys.prefix}"
    files = {str(file) for file in importlib.metadata.files("gan-sampler")}
    assert "gan_sampler/py.typed" in files, "the wheel lacks py.typed"
    assert any(file.endswith("licenses/LICENSE") for file in files), "the wheel lacks LICENSE"
    assert all(file.startswith(("gan_sampler/", "gan_sampler-", "../")) for file in files), f"strays: {files}"
    for name in gan_sampler.__all__:
        getattr(gan_sampler, name)

    X = np.random.RandomState(0).randint(0, 256, size=(20, 16, 16), dtype=np.uint8)
    y = np.array(["common"] * 14 + ["rare"] * 6)
    X_resampled, y_resampled = gan_sampler.DCGANOverSampler(n_steps=2, random_state=0).fit_resample(X, y)
    assert X_resampled.shape == (28, 16, 16)
    assert X_resampled.dtype == np.uint8
    assert (y_resampled == "rare").sum() == 14
    compare_a_folder()
    print(f"gan_sampler {importlib.metadata.version('gan-sampler')} from the wheel: over-samples and compares.")


def compare_a_folder():
    """Run the command on a folder of PNGs, as somebody does who has no checkout."""
    random_state = np.random.RandomState(0)
    with tempfile.TemporaryDirectory() as folder:
        for name, count, mean in (("common", 32, 100), ("rare", 16, 130)):
            for number in range(count):
                file = Path(folder, "images", name, f"patient{number // 2}.{number}.png")
                file.parent.mkdir(parents=True, exist_ok=True)
                pixels = random_state.normal(mean, 40, size=(16, 16)).clip(0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(file)
        options = ["--groups", r"(patient\d+)", "--samplers", "none,smote", "--classifiers", "svm", "--seeds", "0,1"]
        command = [Path(sys.prefix, "bin", "gan-sampler"), "compare", "images", "results", *options, "-j", "1", "--yes"]
        subprocess.run(command, cwd=folder, check=True)
        assert Path(folder, "results", "report.html").stat().st_size > 100_000


if __name__ == "__main__":
    main()
