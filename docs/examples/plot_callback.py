"""
==================================
Watching a GAN learn, and stopping
==================================

Every sampler that trains has a parameter ``callback``: a function that is called every 50 steps with a
:class:`~gan_sampler.training.TrainingProgress`. It has the losses and the score, can draw images, and may end the
training.
"""

# %%
# Digits, of which the eights are to be over-sampled.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from gan_sampler import DCGANOverSampler

digits = load_digits()
X = (digits.images * 255 / 16).astype(np.uint8)
y = np.where(digits.target == 8, "eight", "other")

# %%
# This callback keeps what it sees, and ends the training when the score has been below 2 for three reports in a row.
# The score is a distance to the real images; about 1 is as good as unseen real ones. ``sample`` starts from the same
# noise at each report, so that pictures can be followed.

seen = []


def follow(progress):
    """Keep losses and pictures; return True when the images are good enough."""
    seen.append((progress.record, progress.sample(8)))
    return len(seen) >= 3 and all(record["score"] < 2 for record, _ in seen[-3:])


sampler = DCGANOverSampler(n_steps=1500, callback=follow, random_state=0)
X_resampled, y_resampled = sampler.fit_resample(X, y)
print("trained for", sampler.history_["eight"][-1]["step"], "of", sampler.n_steps, "steps")

# %%

chosen = np.unique(np.linspace(0, len(seen) - 1, 6).astype(int))
fig, axes = plt.subplots(len(chosen), 8, figsize=(5.6, 0.72 * len(chosen)), layout="constrained")
for row, i in zip(axes, chosen, strict=True):
    record, images = seen[i]
    for ax, image in zip(row, images, strict=True):
        ax.imshow(image, cmap="gray", vmin=0, vmax=255)
        ax.set(xticks=[], yticks=[])
    row[0].set_ylabel(f"step {record['step']}", rotation=0, ha="right", va="center")
plt.show()

# %%
# **Reading.** Each column is one noise vector. Blots become strokes, and strokes become eights.

fig, ax = plt.subplots(layout="constrained", figsize=(6.4, 3))
steps = [record["step"] for record, _ in seen]
for name in ("score", "loss_generator", "loss_discriminator"):
    ax.plot(steps, [record[name] for record, _ in seen], label=name)
ax.axhline(2, color="black", linewidth=0.8, linestyle=":")
ax.set(xlabel="step", yscale="log")
ax.legend()
plt.show()

# %%
# **Reading.** The score falls, while the losses of the two networks, which work against each other, say little about
# the images. The dotted line is where this callback stops.
#
# In a notebook, live
# --------------------
#
# .. code-block:: python
#
#     from IPython.display import clear_output, display
#
#     def show(progress):
#         fig, axes = plt.subplots(1, 8, figsize=(8, 1))
#         for ax, image in zip(axes, progress.sample(8)):
#             ax.imshow(image, cmap="gray")
#             ax.set_axis_off()
#         clear_output(wait=True)
#         display(fig)
#         plt.close(fig)
#
# TensorBoard
# -----------
#
# .. code-block:: python
#
#     from torch.utils.tensorboard import SummaryWriter
#
#     def log(progress):
#         with SummaryWriter(f"runs/{progress.label}") as writer:
#             for name, value in progress.record.items():
#                 writer.add_scalar(name, value, progress.step)
#             images = progress.sample(16)[..., None]  # TensorBoard asks for an axis of channels
#             writer.add_images("drawn", images, progress.step, dataformats="NHWC")
#
#     DCGANOverSampler(callback=log).fit_resample(X, y)
#
# Colour images are ``NHWC`` as they are, or ``NCHW`` with channels first. A writer that is opened inside of the
# callback also works with ``n_jobs``, where classes are trained in other processes.
#
# Weights & Biases
# ----------------
#
# .. code-block:: python
#
#     import wandb
#
#     run = wandb.init(project="over-sampling", mode="offline")  # nothing leaves this machine
#
#     def log(progress):
#         pictures = [wandb.Image(image) for image in progress.sample(16)]
#         record = {f"{progress.label}/{name}": value for name, value in progress.record.items()}
#         wandb.log({**record, "drawn": pictures})
#
#     DCGANOverSampler(callback=log).fit_resample(X, y)
#     run.finish()
#
# An exception in a callback, such as a full disk, ends the fit. It is raised as it is, and the best snapshot so far
# is kept: ``sampler.sample`` draws from it.
