"""
=====================================================
Does it copy? The memorisation test on three samplers
=====================================================

Synthetic images of private ones are private too if they are copies. Held-out images, which no sampler has seen, show
it: a generator that copies is closer to its training images than held-out images are.
"""

# %%
# The eights of the digits, halved: one half to learn from, one half held out.

import matplotlib.pyplot as plt
import numpy as np
from imblearn.over_sampling import RandomOverSampler
from sklearn.datasets import load_digits
from sklearn.preprocessing import FunctionTransformer

from gan_sampler import AugmentationOverSampler, DCGANOverSampler, PixelSampler, quality_report

digits = load_digits()
images = (digits.images * 255 / 16).astype(np.uint8)
eights, rest = images[digits.target == 8], images[digits.target != 8][:400]
train, held_out = eights[::2], eights[1::2]
X, y = np.concatenate([train, rest]), np.array(["eight"] * len(train) + ["other"] * len(rest))
pixels = FunctionTransformer(lambda images: images.reshape(len(images), -1) / 255)

# With repeated_share=0 all images that are added are synthetic. By default three quarters are real ones, repeated.
samplers = {
    "repetition": PixelSampler(RandomOverSampler(random_state=0)),
    "augmentation": AugmentationOverSampler(repeated_share=0, random_state=0),
    "DCGAN": DCGANOverSampler(n_steps=800, repeated_share=0, random_state=0),
}
reports = {}
for name, sampler in samplers.items():
    X_resampled, _ = sampler.fit_resample(X, y)
    made = X_resampled[len(X) :][:200]
    reports[name] = report = quality_report(train, made, held_out, embedder=pixels, random_state=0)
    print(
        f"{name:13} near-copies {report.near_copies:.2f}   memorisation {report.memorisation:.2f}   "
        f"p = {report.memorisation_p:.2g}"
    )

# %%

fig, axes = plt.subplots(1, 2, figsize=(7, 2.6), layout="constrained", sharey=True)
labels = list(reports)
axes[0].barh(labels, [report.near_copies for report in reports.values()])
axes[0].axvline(reports["DCGAN"].near_copies_among_real, color="black", ls=":", label="among real images")
axes[0].set(title="near-copies", xlabel="share of the synthetic images", xlim=(0, 1.02))
axes[0].legend()
axes[1].barh(labels, [report.memorisation for report in reports.values()])
axes[1].axvline(0.5, color="black", ls=":", label="no memorisation")
axes[1].set(title="memorisation", xlabel="chance to be nearer than held-out images", xlim=(0, 1.02))
axes[1].legend()
axes[0].invert_yaxis()
plt.show()

# %%
# **Reading.** Repetition copies, and both measures say so. Augmentation hardly ever makes an image that is the same
# pixel by pixel, so fewer are near-copies, but each comes from one training image, and the memorisation test finds
# that. The generator passes both: its images are not nearer to those that it was trained on than held-out images are.
#
# Passing is not a proof of privacy. What the test can find depends on how many images are held out:
# :doc:`/memorisation`.
