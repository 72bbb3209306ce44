"""
==================================================
Does it help? A comparison with what costs nothing
==================================================

A classifier that gets better with synthetic images may get better just as much without them. So the comparison holds
doing nothing, class weights and repetition beside the samplers, repeats all of it with several seeds, and tests the
differences.
"""

# %%
# A small problem that is not easy: 30 eights to learn from, among hundreds of other digits, with noise.

import numpy as np
from sklearn.datasets import load_digits
from sklearn.preprocessing import FunctionTransformer

from gan_sampler.evaluation import compare

digits = load_digits()
rng = np.random.default_rng(0)
noisy = np.clip(digits.images * 255 / 16 + rng.normal(0, 60, digits.images.shape), 0, 255)
X, y = noisy.astype(np.uint8), np.where(digits.target == 8, "eight", "other")

# %%
# :func:`~gan_sampler.evaluation.compare` splits the images, over-samples the training part alone, and tests on real
# images. ``n_rare`` keeps so many training images of the rare class. Each image is a group of its own, as if each came
# from another person; images of one person would have to share a group.

pixels = FunctionTransformer(lambda images: images.reshape(len(images), -1) / 255)
comparison = compare(
    X,
    y,
    groups=np.arange(len(X)),
    samplers=["none", "class_weight", "random", "smote", "dcgan"],
    classifiers=["svm"],
    embedders={"pixels": pixels},
    n_rare=30,
    n_repeats=3,
    n_steps=250,
    n_jobs=1,
    verbose=0,
)
print(comparison.to_text())
for sentence in comparison.answer():
    print("-", sentence)

# %%

figure = comparison.plot_gains()

# %%
# **Reading.** TODO
