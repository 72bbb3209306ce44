"""
==========================================
Is it good? A quality report, line by line
==========================================

A picture shows ten images. A quality report measures all of them: are they like real ones, as varied, copies, and can
a classifier learn the class from them?
"""

# %%
# A report compares synthetic with real images of one class. It says more with real images that the generator has
# never seen, and with images of the other classes, so both are set aside.

import numpy as np
from sklearn.datasets import load_digits

from gan_sampler import DCGANOverSampler, quality_report

digits = load_digits()
images = (digits.images * 255 / 16).astype(np.uint8)
eights, rest = images[digits.target == 8], images[digits.target != 8]
train, held_out = eights[:120], eights[120:]

X, y = np.concatenate([train, rest]), np.array(["eight"] * len(train) + ["other"] * len(rest))
sampler = DCGANOverSampler(n_steps=1200, random_state=0)
sampler.fit_resample(X, y)
synthetic = sampler.sample(120, "eight", random_state=0)

# %%
# By default images are compared in the features of a pretrained network. For 8 x 8 pixels the pixels themselves will
# do; any transformer of scikit-learn takes its place.

from sklearn.preprocessing import FunctionTransformer

pixels = FunctionTransformer(lambda images: images.reshape(len(images), -1) / 255)
report = quality_report(train, synthetic, held_out, X_rest=rest[:400], embedder=pixels, random_state=0)
print(report)

# %%
# **Reading.** The column "held-out real" says what other real images score, so it is the goal, and not the column
# "perfect". The images lie among the real ones (density, precision), and cover most kinds of them (recall, coverage).
# A classifier separates them from the real ones better than chance, so they carry a mark of the generator. There are
# no more near-copies than among real images, and the memorisation test finds nothing. A classifier that learns from
# them is nearly as good as one that learns from real images (utility).
#
# The figure shows the most and the least plausible images:

figure = report.plot()

# %%
# **Reading.** Even the least plausible images can be read as eights. Where they cannot, train longer or set
# ``herding=True``, which draws more images than are needed and keeps those that are most like the real ones together.
#
# What a failure looks like
# -------------------------
#
# The same generator after 50 steps:

import warnings

with warnings.catch_warnings(record=True) as told:
    warnings.simplefilter("always")
    early = DCGANOverSampler(n_steps=50, random_state=0)
    early.fit_resample(X, y)
for warning in told:
    print(f"{warning.category.__name__}: {warning.message}\n")

poor = quality_report(train, early.sample(120, "eight", random_state=0), held_out, embedder=pixels, random_state=0)
print("is_poor:", poor.is_poor, *poor.faults)

# %%

figure = poor.plot()

# %%
# **Reading.** The fit itself warned, from a cheap comparison of pixels, and the report agrees. With
# ``on_poor_quality="raise"`` or ``"repeat"`` such images never reach a classifier.
