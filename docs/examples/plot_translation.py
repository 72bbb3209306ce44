"""
================================================
Translation: rare images made out of common ones
================================================

:class:`~gan_sampler.CycleGANOverSampler` does not draw from noise. It learns to change an image of a common class
into one of the rare class, and keeps the rest of the image. The variety of the result comes from the common images,
of which there are many.
"""

# %%
# Parts on a conveyor belt, drawn by a formula: 150 intact ones, of random place, size and brightness, and 25 with a
# dark scratch across.

import matplotlib.pyplot as plt
import numpy as np

from gan_sampler import CycleGANOverSampler

rng = np.random.default_rng(0)
size = 16
rows, columns = np.mgrid[:size, :size]


def draw_parts(n, scratched):
    """Return images of round parts."""
    y, x = rng.uniform(7, 8.5, (2, n, 1, 1))
    radius, brightness = rng.uniform(4.5, 6.5, (n, 1, 1)), rng.uniform(130, 230, (n, 1, 1))
    part = brightness / (1 + np.exp(3 * (np.hypot(rows - y, columns - x) - radius)))
    if scratched:
        angle = rng.uniform(-0.5, 0.5, (n, 1, 1)) + np.pi / 4
        across = (rows - y) * np.cos(angle) - (columns - x) * np.sin(angle)
        part *= 1 - 0.95 * np.exp(-((across / 0.9) ** 2))
    return np.clip(part + rng.normal(25, 5, part.shape), 0, 255).astype(np.uint8)


X = np.concatenate([draw_parts(150, scratched=False), draw_parts(25, scratched=True)])
y = np.array(["intact"] * 150 + ["scratched"] * 25)

sampler = CycleGANOverSampler(n_steps=300, base_channels=8, n_blocks=1, learning_rate=1e-3, random_state=0)
X_resampled, y_resampled = sampler.fit_resample(X, y)

# %%
# ``translate`` takes images that were not there at fit, too:

new = draw_parts(10, scratched=False)
translated = sampler.translate(new, "scratched")

fig, axes = plt.subplots(3, 10, figsize=(7, 2.4), layout="constrained")
shown = {"new, intact": new, "translated": translated, "real, scratched": X[y == "scratched"]}
for row, (name, images) in zip(axes, shown.items(), strict=True):
    for ax, image in zip(row, images, strict=False):
        ax.imshow(image, cmap="gray", vmin=0, vmax=255)
        ax.set(xticks=[], yticks=[])
    row[0].set_ylabel(name, rotation=0, ha="right", va="center")
plt.show()

# %%
# **Reading.** Each part keeps its place and most of its size, and gets a scratch. Its brightness is not kept: dark
# parts become bright. The scratches are more alike than real ones, nearly all run the same way, and on some large
# parts they blur. The default, 5,000 steps of wider networks, gives more.
#
# A translator learns to change what tells the classes apart, whatever it is. If all scratched parts had been
# photographed in another light, it would have changed the light. And it invents: on an image of a patient, such a
# change is a finding that is not there.
