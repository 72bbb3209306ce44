"""
========================================
skorch: synthetic images inside of `fit`
========================================

`skorch <https://skorch.readthedocs.io>`_ gives a PyTorch network the interface of scikit-learn. It takes a
:class:`~gan_sampler.data.BalancedDataset` for its data and :class:`~gan_sampler.data.BalancedDataLoader` for its
loader.
"""

# %%
# Digits again, with 25 eights against 800 other digits, and a sampler that has learnt to draw eights.

import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.metrics import ConfusionMatrixDisplay
from sklearn.model_selection import train_test_split
from skorch import NeuralNetClassifier
from skorch.callbacks import EpochScoring
from skorch.helper import predefined_split
from torch import nn
from torch.utils.data import TensorDataset
from torchvision.transforms import v2

from gan_sampler import DCGANOverSampler
from gan_sampler.data import BalancedDataLoader, BalancedDataset

digits = load_digits()
X = (digits.images * 255 / 16).astype(np.uint8)
y = np.where(digits.target == 8, "eight", "other")
X, X_test, y, y_test = train_test_split(X, y, stratify=y, test_size=0.5, random_state=0)
is_kept = (y == "other") | (np.cumsum(y == "eight") <= 25)
X, y = X[is_kept], y[is_kept]

sampler = DCGANOverSampler(n_steps=500, random_state=0)
sampler.fit_resample(X, y)

transform = v2.Compose([v2.RandomCrop(8, padding=1), v2.ToDtype(torch.float32, scale=True)])
dataset = BalancedDataset(sampler, X, y, transform=transform, random_state=0)

# %%
# Validation images are real ones: here the test images, given as a set of its own. Never let skorch split them off
# the balanced set, where synthetic images would be validated on.

X_valid = torch.from_numpy(X_test[:, None]).float() / 255
y_valid = torch.tensor([dataset.class_to_idx[label] for label in y_test])

torch.manual_seed(0)
network = NeuralNetClassifier(
    nn.Sequential(nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(16 * 16, 2)),
    criterion=nn.CrossEntropyLoss,
    optimizer=torch.optim.Adam,
    lr=3e-3,
    max_epochs=8,
    batch_size=64,
    iterator_train=BalancedDataLoader,
    train_split=predefined_split(TensorDataset(X_valid, y_valid)),
    classes=[0, 1],
    callbacks=[EpochScoring("balanced_accuracy", lower_is_better=False)],
    verbose=0,
)
network.fit(dataset, y=None)
for epoch in network.history:
    print(f"{epoch['epoch']}: loss {epoch['train_loss']:.3f}, balanced accuracy {epoch['balanced_accuracy']:.3f}")

# %%
# ``iterator_train=BalancedDataLoader`` is all it takes: skorch iterates over the loader once an epoch, and each time
# there are other synthetic images. Further arguments go in as ``iterator_train__num_workers=2``.

print("epochs of images:", dataset.epoch + 1)

# %%

predicted = np.array(dataset.classes)[network.predict(X_valid)]
display = ConfusionMatrixDisplay.from_predictions(y_test, predicted, colorbar=False, cmap="Blues")
display.figure_.set_layout_engine("constrained")
plt.show()

# %%
# **Reading.** Rows are the true classes. The network was trained on 25 real eights, and finds most of those in the
# test images. It also takes some other digits for eights, the price of training on balanced classes: test images are
# as they come, one eight among ten.
