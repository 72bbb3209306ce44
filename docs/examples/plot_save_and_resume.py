"""
==================================================
Save, load and go on: checkpoints and stored files
==================================================

A training that took an hour should be there tomorrow. ``save`` and ``load`` keep a fitted sampler in a file without
pickle; ``checkpoint_dir`` keeps the state of a training that is under way.
"""

# %%
# A fitted sampler draws the same images after it was saved and loaded, on any machine.

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from gan_sampler import DCGANOverSampler

digits = load_digits()
X, y = (digits.images * 255 / 16).astype(np.uint8), np.where(digits.target == 8, "eight", "other")

folder = Path(tempfile.mkdtemp())
sampler = DCGANOverSampler(n_steps=200, random_state=0, checkpoint_dir=folder / "checkpoints")
sampler.fit_resample(X, y)
sampler.save(folder / "eights.safetensors")

loaded = DCGANOverSampler.load(folder / "eights.safetensors")
before, after = (each.sample(10, "eight", random_state=0) for each in (sampler, loaded))
assert np.array_equal(before, after)
print((folder / "eights.safetensors").stat().st_size // 1024, "kB")

# %%
# With ``checkpoint_dir`` a fit that was interrupted in any way goes on when it is run again with the same data and
# parameters. More ``n_steps`` continue a training that was finished: here from 200 steps to 1,000.

images = {"200 steps": before}
sampler.set_params(n_steps=1000).fit_resample(X, y)
images["1,000 steps"] = sampler.sample(10, "eight", random_state=0)
print("steps:", [record["step"] for record in sampler.history_["eight"]])

# %%
# The same noise before and after:

fig, axes = plt.subplots(2, 10, figsize=(7, 1.7), layout="constrained")
for row, (name, drawn) in zip(axes, images.items(), strict=True):
    for ax, image in zip(row, drawn, strict=True):
        ax.imshow(image, cmap="gray", vmin=0, vmax=255)
        ax.set(xticks=[], yticks=[])
    row[0].set_ylabel(name, rotation=0, ha="right", va="center")
plt.show()

# %%
# **Reading.** After 200 steps the strokes are grey and unclear, and the fit warned of it. After 1,000 steps they are
# drawn in black and white. Many, but not all, images show the same shape as before in a clearer form: the noise is
# the same, and the generator went on from where it was.
