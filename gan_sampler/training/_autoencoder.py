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

from ..runtime import own_modes, random_stream
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
    callback=None,
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
    callback : callable or None, default=None
        Called after `report` with a `TrainingProgress`, which can draw images; returning True ends the training.

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
    CallbackError
        When `callback` raised an exception, which is its cause; holds the same.
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
                progress.call_back(
                    callback,
                    partial(_draw_shown, networks, images, rows_of_class),
                    partial(_restored, networks, best),
                    networks,
                )
    except KeyboardInterrupt as exc:
        if not progress.history:
            raise
        raise TrainingInterrupted(_restored(networks, best), progress.history) from exc
    _restored(networks, best)
    return progress.history


def _restored(networks, best):
    """Return the networks, frozen, with the weights of the best report."""
    networks.load_state_dict(best.state_dict())
    return networks.eval().requires_grad_(False)


def _draw_shown(networks, images, rows_of_class, n_images, seed, index):
    """Return images decoded from between the codes of two images of a class, chosen at random."""
    encoder, decoder = copy.deepcopy(networks).eval()
    stream = random_stream(images.device, seed)
    rows = rows_of_class[index]
    pairs = rows[torch.randint(len(rows), (2, n_images), generator=stream, device=images.device)]
    share = torch.rand(n_images, 1, generator=stream, device=images.device, dtype=torch.float32)
    with own_modes(images.device), torch.no_grad():
        first, second = (encoder(normalised(images[each])) for each in pairs)
        return decoder(first + share * (second - first))
