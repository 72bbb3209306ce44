"""Seeds of epochs, classes and single images, so that no batch depends on which process makes it."""

import contextlib
import random

import numpy as np
import torch

_MASK = 2**64 - 1
_MAX_NUMPY_SEED = 2**32


def seed_of(*numbers):
    """Return a seed of 32 bits for a place, such as seed, epoch, class and number of a chunk; slow and thorough."""
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])


def quick_seed(*numbers):
    """Return a seed of 63 bits for a place in a microsecond: splitmix64 [1]_ over the numbers.

    References
    ----------
    .. [1] G. L. Steele, D. Lea, C. H. Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014.
       https://doi.org/10.1145/2660193.2660195
    """
    state = 0
    for number in numbers:
        state = (state ^ number) + 0x9E3779B97F4A7C15 & _MASK
        state = (state ^ state >> 30) * 0xBF58476D1CE4E5B9 & _MASK
        state = (state ^ state >> 27) * 0x94D049BB133111EB & _MASK
        state ^= state >> 31
    return state >> 1


@contextlib.contextmanager
def kept_random_states():
    """Run a block after which the random streams of torch (on the CPU), NumPy and Python are where they were."""
    states = torch.default_generator.get_state(), np.random.get_state(), random.getstate()
    try:
        yield
    finally:
        torch.default_generator.set_state(states[0])
        np.random.set_state(states[1])
        random.setstate(states[2])


def seed_all(seed):
    """Seed the three streams that transforms draw from."""
    torch.default_generator.manual_seed(seed)  # torch.manual_seed would seed accelerators, too, and takes much longer
    np.random.seed(seed % _MAX_NUMPY_SEED)
    random.seed(seed)
