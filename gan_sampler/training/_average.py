"""Moving average of a network's weights.

References
----------
.. [1] Y. Yazici et al., "The Unusual Effectiveness of Averaging in GAN Training", ICLR 2019.
   https://arxiv.org/abs/1806.04498
"""

import torch
from torch.optim.swa_utils import get_ema_multi_avg_fn


@torch.no_grad()
def move_average(average, network, step, decay):
    """Update an exponential moving average of weights [1]_; its decay is smaller in the first steps.

    Parameters
    ----------
    average, network : torch.nn.Module
        Networks with the same parameters; those of the first are changed where the second's require a gradient.
    step : int
        Number of updates of the network so far; the decay is at most ``(1 + step) / (10 + step)``.
    decay : float
        Decay in [0, 1); 0 keeps the newest weights.
    """
    move = get_ema_multi_avg_fn(min(decay, (1 + step) / (10 + step)))
    pairs = zip(average.parameters(), network.parameters(), strict=True)
    averages, parameters = zip(*(pair for pair in pairs if pair[1].requires_grad), strict=True)
    move(list(averages), list(parameters), None)
