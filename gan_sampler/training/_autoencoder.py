"""Training of DeepSMOTE's autoencoder.

References
----------
.. [1] D. Dablain, B. Krawczyk, N. V. Chawla, "DeepSMOTE: Fusing Deep Learning and SMOTE for Imbalanced Data",
   IEEE Transactions on Neural Networks and Learning Systems, 2022. https://arxiv.org/abs/2105.02340
"""

import copy
from functools import partial

import torch
from torch.nn.functional import mse_loss

from ..runtime import random_stream
from ._progress import Progress, TrainingInterrupted, check_finite
from ._step import normalised


def train_autoencoder(
    encoder,
    decoder,
    images,
    classes,
    *,
    n_steps,
    max_time=None,
    batch_size=100,
    learning_rate=2e-4,
    stream=None,
    report=None,
):
    """Train an encoder and a decoder as DeepSMOTE does (algorithm 1 of [1]_), and keep the best weights.

    Each step reconstructs a batch of images of all classes, and a second batch of one randomly chosen class, whose
    codes are permuted before they are decoded. The reconstruction error of the second batch is a penalty, which trains
    the decoder on codes of other images of the class. Both losses are mean squared errors of equal weight.

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
        Images in each of the two batches of a step; all images where there are fewer.
    learning_rate : float, default=2e-4
        Learning rate of Adam.
    stream : torch.Generator or None, default=None
        Source of random numbers, on the device of the networks; None is a new generator seeded from torch's default
        one.
    report : callable or None, default=None
        Called with the latest entry of the history every 50 steps and at the end.

    Returns
    -------
    history : list of dict
        At each report ``step``, ``seconds``, the mean losses ``loss_reconstruction`` and ``loss_penalty`` since the
        previous report, and their sum ``score``. The networks have the weights of the report with the lowest score.

    Raises
    ------
    FloatingPointError
        When a loss is not finite.
    TrainingInterrupted
        On Ctrl-C after the first report; holds the best networks so far, in a `torch.nn.ModuleList`.
    """
    stream = random_stream(images.device) if stream is None else stream
    networks = torch.nn.ModuleList([encoder, decoder]).to(memory_format=torch.channels_last).train()
    best = copy.deepcopy(networks)
    adam = torch.optim.Adam(networks.parameters(), lr=learning_rate)
    rows_of_class = [torch.nonzero(classes == index)[:, 0] for index in classes.unique()]
    names = "loss_reconstruction", "loss_penalty"
    progress = Progress(names, device=images.device, n_steps=n_steps, max_time=max_time)
    shuffle = partial(torch.randperm, generator=stream, device=images.device)
    try:
        while not progress.is_over:
            rows = shuffle(len(images))[:batch_size]
            index = torch.randint(len(rows_of_class), (), generator=stream, device=images.device).item()
            of_class = rows_of_class[index]
            of_class = of_class[shuffle(len(of_class))[:batch_size]]
            batch, same_class = normalised(images[rows]), normalised(images[of_class])

            networks.zero_grad()
            reconstruction = mse_loss(decoder(encoder(batch)), batch)
            penalty = mse_loss(decoder(encoder(same_class)[shuffle(len(same_class))]), same_class)
            (reconstruction + penalty).backward()
            adam.step()

            if progress.count(reconstruction, penalty):
                scores = {"score": sum(progress.mean_losses().values())}
                check_finite(scores, progress.step)
                if progress.would_be_best(scores):
                    best.load_state_dict(networks.state_dict())
                record = progress.report(scores)
                if report is not None:
                    report(record)
    except KeyboardInterrupt as exc:
        if not progress.history:
            raise
        networks.load_state_dict(best.state_dict())
        raise TrainingInterrupted(networks.eval().requires_grad_(False), progress.history) from exc
    networks.load_state_dict(best.state_dict())
    networks.eval().requires_grad_(False)
    return progress.history
