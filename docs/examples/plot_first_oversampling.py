"""
==================================
Balance a data set of digit images
==================================

Text.
"""

# %%
# Load.

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits

digits = load_digits()
fig, ax = plt.subplots()
ax.imshow(digits.images[0])
