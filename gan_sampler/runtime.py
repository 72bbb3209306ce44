"""Device, precision, seeding, grad mode and memory: the only file that touches what the whole process shares."""

import contextlib
import ctypes
import os
import sys
from numbers import Integral

import numpy as np
import torch
from sklearn.utils import check_random_state

DEVICE_CONSTRAINT = [str, torch.device]  # what every estimator accepts for `device`
_MAX_SEED = 2**31 - 1
_CALLED_THROUGH = {"gan_sampler", "imblearn", "sklearn", "joblib"}

# glibc's mallopt: names from malloc.h, and the values that it works up to by itself in a process of large arrays.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_MMAP_MAX = -1, -3, -4
_LARGEST_MMAP_THRESHOLD, _DEFAULT_MMAP_MAX = 32 * 2**20, 65536


def resolve_device(device):
    """Turn a device word into a `torch.device` that this machine has.

    Parameters
    ----------
    device : str or torch.device
        ``"auto"`` (the first CUDA device, else the CPU) or any word of torch's: ``"cpu"``, ``"cuda:1"``.

    Returns
    -------
    device : torch.device

    Raises
    ------
    ValueError
        When torch does not know the word or the machine lacks the device.
    """
    if str(device) == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        resolved = torch.device(device)
        torch.empty(1, device=resolved).cpu()  # which "meta", a device without memory, cannot do
    # torch raises RuntimeError for unknown words, AssertionError where it was built without CUDA and
    # NotImplementedError for backends it only knows by name.
    except (RuntimeError, AssertionError, NotImplementedError) as exc:
        found = ["'cpu'", *(f"'cuda:{index}'" for index in range(torch.cuda.device_count()))]
        raise ValueError(
            f"device must be 'auto' or a torch device of this machine ({', '.join(found)}); got {device!r}: "
            f"{str(exc).splitlines()[0]}"
        ) from exc
    return resolved


def stacklevel_of_user():
    """Return the `stacklevel` at which `warnings.warn`, called where this is, names the user's line.

    That is the first one outside this package and what its estimators are called through.
    """
    frame, level = sys._getframe(1), 1
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] in _CALLED_THROUGH:
        frame, level = frame.f_back, level + 1
    return level


def own_random_state(random_state):
    """Turn `random_state` (None, int or `numpy.random.RandomState`) into a RandomState.

    As `sklearn.utils.check_random_state`, but None gives a fresh one and leaves NumPy's global stream alone.
    """
    return np.random.RandomState() if random_state is None else check_random_state(random_state)


def draw_seed(random_state):
    """Draw one seed for torch from `random_state` (None, int or `numpy.random.RandomState`)."""
    if isinstance(random_state, Integral):
        return int(random_state)
    return int(own_random_state(random_state).randint(_MAX_SEED))


@contextlib.contextmanager
def isolated(device, seed):
    """Run a block on its own torch random stream, and leave the caller's torch state as it was.

    Inside, CPU and device generators are seeded, gradients can be recorded whatever mode the caller is in,
    tensors are float32 on the CPU by default and cuDNN picks deterministic algorithms. All of it is undone at
    the end, also after an exception.

    Parameters
    ----------
    device : torch.device
        Device whose random stream is forked beside the CPU's.
    seed : int
        Seed of both streams.
    """
    on_accelerator = device.type != "cpu"
    fork = torch.random.fork_rng(
        devices=[device] if on_accelerator else [], device_type=device.type if on_accelerator else "cuda"
    )
    default_dtype = torch.get_default_dtype()
    cudnn = torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark
    # A device context slows every call of torch, so it is entered only against a default that the caller changed.
    on_cpu = contextlib.nullcontext() if torch.get_default_device().type == "cpu" else torch.device("cpu")
    with fork, torch.inference_mode(False), torch.enable_grad(), on_cpu:
        try:
            torch.set_default_dtype(torch.float32)
            torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = True, False
            torch.default_generator.manual_seed(seed)
            if on_accelerator:  # torch.manual_seed would seed the caller's other devices too
                with torch.cuda.device(device) if device.type == "cuda" else contextlib.nullcontext():
                    torch.get_device_module(device).manual_seed(seed)
            yield
        finally:
            torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = cudnn
            torch.set_default_dtype(default_dtype)


def mixed_precision(device):
    """Return the autocast context in which networks train on `device`: bfloat16 on CUDA, nothing elsewhere.

    Processors without matrix units for bfloat16 are slower in it than in float32.
    """
    if device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False):
        return torch.autocast("cuda", torch.bfloat16)
    return contextlib.nullcontext()


@contextlib.contextmanager
def threads(n_threads):
    """Run a block with `n_threads` threads inside torch's operators, which decide the rounding of sums on the CPU."""
    before = torch.get_num_threads()
    if before == n_threads:  # setting it, even to what it is, starts threads anew
        yield
        return
    torch.set_num_threads(n_threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextlib.contextmanager
def keep_freed_memory():
    """Let large tensors that are freed in a block be taken again without asking the kernel.

    glibc hands every block of more than 32 MB back to the kernel as soon as it is freed, and the next tensor of that
    size costs a page fault for each 4 kB of it: at 128 x 128 pixels a seventh of the training time. Inside the block
    freed memory stays with the process; at the end it is given back, and the thresholds are what glibc sets itself
    once a process has freed a block of 32 MB. Where there is no glibc, or the user has tuned it through the
    environment, nothing is changed.
    """
    mallopt = _find_mallopt()
    if mallopt is None:
        yield
        return
    mallopt(_M_MMAP_MAX, 0)
    mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
    try:
        yield
    finally:
        mallopt(_M_MMAP_MAX, _DEFAULT_MMAP_MAX)
        mallopt(_M_MMAP_THRESHOLD, _LARGEST_MMAP_THRESHOLD)
        mallopt(_M_TRIM_THRESHOLD, 2 * _LARGEST_MMAP_THRESHOLD)
        ctypes.CDLL(None).malloc_trim(0)


def _find_mallopt():
    is_tuned = any(name.startswith("MALLOC_") for name in os.environ) or "malloc" in os.environ.get(
        "GLIBC_TUNABLES", ""
    )
    if os.name != "posix" or is_tuned:
        return None
    libc = ctypes.CDLL(None)
    return libc.mallopt if hasattr(libc, "gnu_get_libc_version") else None
