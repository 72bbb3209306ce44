"""What an import brings with it: nobody waits for packages that are not used."""

import json
import subprocess
import sys

_PRINT_NEW = """
import json, sys
import torch, imblearn.over_sampling  # scikit-learn itself imports pandas where it is installed
before = set(sys.modules)
{statement}
print(json.dumps(sorted({{name.partition(".")[0] for name in set(sys.modules) - before}})))
"""
# Each takes a second or more, and no sampler needs it before it is fitted.
_HEAVY = {"torchvision", "skorch", "matplotlib", "pandas", "statsmodels", "jinja2", "rich", "prdc"}


def packages_imported_by(statement):
    """Return the packages that a statement imports beyond torch and imbalanced-learn, in a new process."""
    ran = subprocess.run(
        [sys.executable, "-c", _PRINT_NEW.format(statement=statement)], capture_output=True, text=True, check=True
    )
    return set(json.loads(ran.stdout))


def test_samplers_do_not_wait_for_what_they_do_not_use():
    names = "DCGANOverSampler, ConditionalDCGANOverSampler, AugmentationOverSampler, "
    names += "PixelSampler, quality_report, EfficientNetLite0Embedder, ResNet18Embedder, displays"
    statement = (
        f"from gan_sampler import {names}; from gan_sampler.datasets import load_image_folder, save_image_folder"
    )
    imported = packages_imported_by(statement)
    assert "gan_sampler" in imported
    assert not imported & _HEAVY


def test_the_package_alone_imports_nothing_of_torch():
    code = "import sys, gan_sampler; sys.exit(any(name in sys.modules for name in ('torch', 'sklearn', 'imblearn')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_check_sees_a_heavy_package():
    assert {"skorch", "torchvision"} <= packages_imported_by("from gan_sampler import CNNClassifier")
