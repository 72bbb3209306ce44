"""Device, precision, seeding, grad mode and memory: the only file that touches what the whole process shares."""

import contextlib
import ctypes
import os
import socket
import sys
import threading
from numbers import Integral

import numpy as np
import torch
from sklearn.utils import check_random_state
from torch import nn
from torch.nn.modules.dropout import _DropoutNd

DEVICE_CONSTRAINT = [str, torch.device]  # what every estimator accepts for `device`
_MAX_SEED = 2**31 - 1
_MAX_INT_SEED = 2**32 - 1  # NumPy's, and so that of scikit-learn's random_state
_CALLED_THROUGH = {"gan_sampler", "imblearn", "sklearn", "joblib"}

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # of glibc's mallopt, from malloc.h
_WATCH_EVERY = 1.0  # seconds


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
        if isinstance(random_state, bool) or not 0 <= random_state <= _MAX_INT_SEED:
            raise ValueError(
                f"random_state must be None, a RandomState or an integer from 0 to {_MAX_INT_SEED}; got "
                f"{random_state!r}."
            )
        return int(random_state)
    return int(own_random_state(random_state).randint(_MAX_SEED))


# Held by whoever changes what all threads of a process share: torch's random streams, default dtype and cuDNN's flags.
_PROCESS = threading.RLock()


@contextlib.contextmanager
def own_modes(device):
    """Run a block in torch modes of its own: gradients can be recorded, no autocast, new tensors on the CPU.

    These belong to a thread, so that blocks in several threads do not disturb each other. The block must draw its
    random numbers from a `torch.Generator` of its own and name the dtype of the tensors it makes.

    Parameters
    ----------
    device : torch.device
        Device on which the block computes.
    """
    _refuse_threads_after_fork()
    # A device context slows every call of torch, so it is entered only against a default that the caller changed.
    on_cpu = contextlib.nullcontext() if torch.get_default_device().type == "cpu" else torch.device("cpu")
    no_autocast = [torch.autocast(kind, enabled=False) for kind in {"cpu", device.type}]
    with contextlib.ExitStack() as stack:
        for context in (torch.inference_mode(False), torch.enable_grad(), on_cpu, *no_autocast):
            stack.enter_context(context)
        yield


@contextlib.contextmanager
def isolated(device, seed):
    """Run a block on its own torch random stream, and leave the caller's torch state as it was.

    For what draws from torch's own random streams. They belong to the process, as do the default dtype (float32
    inside) and cuDNN's choice of algorithms (deterministic inside), so one thread at a time can be in such a block;
    others wait. All of it is undone at the end, also after an exception. The modes are those of `own_modes`.

    Parameters
    ----------
    device : torch.device
        Device whose random stream is forked beside the CPU's.
    seed : int
        Seed of both streams.
    """
    on_accelerator = device.type != "cpu"
    with _PROCESS, own_modes(device):
        fork = torch.random.fork_rng(
            devices=[device] if on_accelerator else [], device_type=device.type if on_accelerator else "cuda"
        )
        default_dtype = torch.get_default_dtype()
        cudnn = torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark
        with fork:
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


def training_context(device, seed, networks):
    """Return the context in which networks train: `own_modes` where that is enough, else `isolated`.

    It is not where networks draw from torch's own random streams in training (`draws_from_torch`), nor beside the
    CPU, where cuDNN's flags matter: there trainings in several threads of one process take turns.

    Parameters
    ----------
    device : torch.device
        Where they train.
    seed : int
        Seed of torch's streams inside the block, where it is `isolated`.
    networks : iterable of torch.nn.Module
        The networks.
    """
    is_shared = device.type != "cpu" or any(map(draws_from_torch, networks))
    return isolated(device, seed) if is_shared else own_modes(device)


def draws_from_torch(network):
    """Whether a network may draw from torch's own random streams in training, as dropout does.

    Of modules of other packages nothing is known, so they are taken to.
    """
    return any(
        type(module).__module__.partition(".")[0] not in ("torch", __package__)
        or (isinstance(module, _DropoutNd) and module.p > 0)
        or isinstance(module, nn.RReLU | nn.FractionalMaxPool2d | nn.FractionalMaxPool3d)
        or (isinstance(module, nn.MultiheadAttention | nn.RNNBase) and module.dropout > 0)
        for module in network.modules()
    )


def random_stream(device, seed=None):
    """Return a `torch.Generator` on `device`, with this seed or one drawn from torch's own stream."""
    if seed is None:
        seed = torch.randint(_MAX_SEED, ()).item()
    return torch.Generator(device=device).manual_seed(seed)


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


def memory_of_this_machine():
    """Return how many bytes an array can have at most.

    Linux and macOS may promise more than there is, and end the process that uses it. Windows promises no more.
    """
    if "SC_PHYS_PAGES" in getattr(os, "sysconf_names", ()):
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return sys.maxsize


def keep_freed_memory():
    """Let large tensors that are freed be taken again without asking the kernel, for the rest of this process.

    glibc hands every block of more than 32 MB back to the kernel as soon as it is freed, and the next tensor of that
    size costs a page fault for each 4 kB of it: at 128 x 128 pixels a seventh of the training time. What it decides by
    itself cannot be had back once it was set, so this is for programs, which own their process, and no fit calls it.
    Where there is no glibc, or the user has tuned it through the environment, nothing is changed.
    """
    mallopt = _find_mallopt()
    if mallopt is not None:
        mallopt(_M_MMAP_MAX, 0)
        mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)


def _find_mallopt():
    is_tuned = any(name.startswith("MALLOC_") for name in os.environ) or "malloc" in os.environ.get(
        "GLIBC_TUNABLES", ""
    )
    if os.name != "posix" or is_tuned:
        return None
    libc = ctypes.CDLL(None)
    return libc.mallopt if hasattr(libc, "gnu_get_libc_version") else None


def this_process():
    """Return what tells this process from others, also on other machines."""
    return socket.gethostname(), os.getpid()


@contextlib.contextmanager
def end_with_parent(sender):
    """End this process, a worker, within a second or so of the process that started it.

    A worker whose parent was killed would go on with a training that nobody waits for. A worker of a cluster ends with
    the process that started it on its machine.

    Parameters
    ----------
    sender : tuple
        `this_process` where the work came from.
    """
    parent, is_done = os.getppid(), threading.Event()
    if parent == 1 and not _may_exist(sender):  # killed before its worker came to ask
        os._exit(1)

    def watch():
        while not is_done.wait(_WATCH_EVERY):
            if os.getppid() != parent:  # the kernel has given this process to another one
                os._exit(1)

    watcher = threading.Thread(target=watch, name="end_with_parent", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        is_done.set()
        watcher.join()


def _may_exist(process):
    host, pid = process
    if host != socket.gethostname():
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


class _Fork:
    """Whether this process was forked from one in which torch had computed with several threads."""

    had_threads = False  # in this process
    is_unsafe = False


def _note_fork():
    global _PROCESS
    _Fork.is_unsafe = _Fork.had_threads
    _PROCESS = threading.RLock()  # another thread, which is missing here, may have held the old one


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_note_fork)


def _refuse_threads_after_fork():
    """Raise where torch would wait for ever for threads that a fork has not taken along."""
    if torch.get_num_threads() == 1:
        return
    if _Fork.is_unsafe:
        raise RuntimeError(
            "This process was forked from one in which torch had already computed with several threads, which are "
            "missing here: torch would wait for them without end. Start workers anew (joblib's default backend, or "
            "multiprocessing's 'spawn'), or call torch.set_num_threads(1) before the first fit or in the worker."
        )
    _Fork.had_threads = True
