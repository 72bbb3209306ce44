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

import matplotlib.pyplot as plt
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
# images. ``n_rare`` keeps so many training images of the rare class. Each image is a group of its own, as if each
# came from another person; images of one person would have to share a group.

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
    n_steps=200,
    n_jobs=1,
    verbose=0,
)
print(comparison.to_text())
for sentence in comparison.answer():
    print("-", sentence)

# %%

gains = comparison.tests(metrics=["roc_auc"])

fig, ax = plt.subplots(figsize=(6.4, 2.4), layout="constrained")
middle, low, high = (gains[name] for name in ("difference", "low", "high"))
ax.errorbar(middle, gains["treatment"], xerr=[middle - low, high - middle], fmt="o", capsize=3)
ax.axvline(0, color="gray", ls=":")
ax.invert_yaxis()
ax.set(xlabel="difference in ROC-AUC to doing nothing, with 95 % interval")
plt.show()

# %%
# **Reading.** Every interval contains 0: with three repeats no difference is shown, in either direction. The
# intervals are wide enough for a gain of 0.02, so this is not a proof that nothing helps, and more repeats would say
# more. SMOTE, which takes milliseconds, does here what a generator of some seconds does. That is the usual answer for
# easy data, and a reason to ask the question before a training of hours.
#
# The same for a folder, with a report in HTML: ``gan-sampler compare FOLDER``.
