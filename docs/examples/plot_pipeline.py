"""
============================================
In a pipeline, a cross-validation and a grid
============================================

A sampler that is fitted before the data are split has seen the test images. Inside a pipeline each fold trains its
own generator, on its own training images. Test images are never resampled.
"""

# %%
# A pipeline of imbalanced-learn takes a sampler as a step. It is called in ``fit`` and left out in ``predict``.

import tempfile

import matplotlib.pyplot as plt
import numpy as np
from imblearn.pipeline import Pipeline
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_validate
from sklearn.preprocessing import FunctionTransformer
from sklearn.svm import SVC

from gan_sampler import DCGANOverSampler

digits = load_digits()
X, y = digits.images[:750], digits.target[:750] == 8


def to_rows(images):
    """Return each image as a row of numbers."""
    return images.reshape(len(images), -1) / 16


memory = tempfile.TemporaryDirectory()
pipeline = Pipeline(
    [
        ("gan", DCGANOverSampler(n_steps=250, random_state=0)),
        ("rows", FunctionTransformer(to_rows)),
        ("svm", SVC(gamma=0.01)),
    ],
    memory=memory.name,
)
folds = StratifiedKFold(3, shuffle=True, random_state=0)
scores = cross_validate(pipeline, X, y, cv=folds, scoring=["balanced_accuracy", "roc_auc"])
print("balanced accuracy", scores["test_balanced_accuracy"].round(2))
print("ROC-AUC          ", scores["test_roc_auc"].round(3))

# %%
# A grid search fits the pipeline for each candidate and fold. With ``memory`` the generator of a fold is trained once
# and shared by all candidates that do not change it: here six candidates on three folds need no training at all,
# because the cross-validation above trained on the same folds. ``refit=False`` leaves out the last fit, on all
# images.

grid = {"svm__C": np.logspace(-3, 2, 6)}
options = {"cv": folds, "scoring": "balanced_accuracy", "refit": False}
search = GridSearchCV(pipeline, grid, **options).fit(X, y)
without = GridSearchCV(Pipeline(pipeline.steps[1:]), grid, **options).fit(X, y)
memory.cleanup()

fig, ax = plt.subplots(layout="constrained")
for name, found, color in (("with synthetic images", search, "tab:orange"), ("without", without, "tab:blue")):
    ax.errorbar(
        found.param_grid["svm__C"],
        found.cv_results_["mean_test_score"],
        found.cv_results_["std_test_score"],
        label=name,
        color=color,
        marker="o",
        capsize=3,
    )
ax.set(xscale="log", xlabel="C of the support vector machine", ylabel="balanced accuracy", title="Mean of three folds")
ax.legend()
plt.show()

# %%
# **Reading.** With a small ``C`` the classifier without synthetic images calls every image "other", and its balanced
# accuracy is 0.5. The synthetic images move its threshold. With a ``C`` that suits the data the two lines meet: here
# the gain is that of a moved threshold, which ``class_weight="balanced"`` gives for nothing. To tell such gains from
# others, see :ref:`sphx_glr_gallery_plot_does_it_help.py`.
