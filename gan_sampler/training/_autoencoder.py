"""Training of DeepSMOTE's autoencoder.

References
----------
.. [1] D. Dablain, B. Krawczyk, N. V. Chawla, "DeepSMOTE: Fusing Deep Learning and SMOTE for Imbalanced Data",
   IEEE Transactions on Neural Networks and Learning Systems, 2022. https://arxiv.org/abs/2105.02340
"""

import torch
from torch.nn.functional import mse_loss

from ._progress import Progress
from ._step import normalised


def train_autoencoder(
    encoder, decoder, images, classes, *, n_steps, max_time=None, batch_size=100, learning_rate=2e-4, report=None
):
    """Train an encoder and a decoder as DeepSMOTE does (algorithm 1 of [1]_), and keep the best of them.

    Each step reconstructs a batch of images of all classes, and a second one of a class chosen at random whose codes
    are exchanged for each other's before they are decoded: what is lost there is the penalty that accustoms the decoder
    to codes beside those of the image. Both losses are mean squared errors, and count alike.

    Parameters
    ----------
    encoder, decoder : torch.nn.Module
        Images to codes and codes to images, on one device; trained in place.
    images : torch.Tensor of shape (n_images, channels, height, width)
        Images on the networks' device: uint8 in 0..255, or floats in [-1, 1].
    classes : torch.Tensor of shape (n_images,), int64
        Class of each, on the same device.
    n_steps : int
        Number of updates.
    max_time : float or None, default=None
        Seconds after which training ends even if steps are left.
    batch_size : int, default=100
        Images in either half of a step; all images where there are fewer.
    learning_rate : float, default=2e-4
        Step size of Adam.
    report : callable or None, default=None
        Called with the newest entry of the history every 50 steps and at the end.

    Returns
    -------
    history : list of dict
        At each report ``step``, ``seconds``, and the means since the last one ``loss_reconstruction`` and
        ``loss_penalty``. The networks hold the weights of the report with the smallest sum.

    Raises
    ------
    FloatingPointError
        When a loss is not finite.
    """
    networks = torch.nn.ModuleList([encoder, decoder]).to(memory_format=torch.channels_last).train()
    adam = torch.optim.Adam(networks.parameters(), lr=learning_rate)
    rows_of_class = [torch.nonzero(classes == index)[:, 0] for index in classes.unique()]
    progress = Progress(("loss_reconstruction", "loss_penalty"), networks, n_steps=n_steps, max_time=max_time)
    while not progress.is_over:
        rows = torch.randperm(len(images), device=images.device)[:batch_size]
        of_class = rows_of_class[torch.randint(len(rows_of_class), ()).item()]
        of_class = of_class[torch.randperm(len(of_class), device=images.device)[:batch_size]]
        batch, alike = normalised(images[rows]), normalised(images[of_class])
        exchanged = torch.randperm(len(alike), device=images.device)

        networks.zero_grad()
        reconstruction = mse_loss(decoder(encoder(batch)), batch)
        penalty = mse_loss(decoder(encoder(alike)[exchanged]), alike)
        (reconstruction + penalty).backward()
        adam.step()

        if progress.count(reconstruction, penalty):
            record = progress.report(sum(progress.mean_losses().values()))
            if report is not None:
                report(record)
    progress.go_to_best()
    networks.eval().requires_grad_(False)
    return progress.history
