"""Device, precision, seeding, grad mode and memory: all access to state that the whole process shares."""

import contextlib
import ctypes
import functools
import os
import socket
import sys
import threading
import warnings
from numbers import Integral

import numpy as np
import torch
from sklearn.utils import check_random_state
from torch import nn
from torch.nn.modules.dropout import _DropoutNd

DEVICE_CONSTRAINT = [str, torch.device]  # what every estimator accepts for `device`
_MAX_SEED = 2**31 - 1
_MAX_INT_SEED = 2**32 - 1  # limit of NumPy and of scikit-learn's random_state
_CALLED_THROUGH = {"gan_sampler", "imblearn", "sklearn", "joblib"}

_PRECISIONS = ("auto", "float32", "bfloat16")
_BFLOAT16_FLAGS = {"avx512_bf16", "amx_bf16"}

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # of glibc's mallopt, from malloc.h
_WATCH_EVERY = 1.0  # seconds


def resolve_device(device):
    """Return the `torch.device` that a `device` parameter names.

    Parameters
    ----------
    device : str or torch.device
        ``"auto"`` (the first CUDA device, or the CPU where there is none) or a torch device: ``"cpu"``, ``"cuda:1"``.

    Returns
    -------
    device : torch.device

    Raises
    ------
    ValueError
        When torch does not know the device or the machine does not have it.
    """
    if str(device) == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        resolved = torch.device(device)
        torch.empty(1, device=resolved).cpu()  # fails for "meta", a device without memory
    # torch raises RuntimeError for unknown devices, AssertionError if it was built without CUDA, and
    # NotImplementedError for backends that are not installed.
    except (RuntimeError, AssertionError, NotImplementedError) as exc:
        found = ["'cpu'", *(f"'cuda:{index}'" for index in range(torch.cuda.device_count()))]
        raise ValueError(
            f"device must be 'auto' or a torch device of this machine ({', '.join(found)}); got {device!r}: "
            f"{str(exc).splitlines()[0]}"
        ) from exc
    return resolved


def stacklevel_of_user():
    """Return the `stacklevel` for `warnings.warn`, called in the same function, that names the user's line.

    This is the first line outside of this package, imbalanced-learn, scikit-learn and joblib.
    """
    frame, level = sys._getframe(1), 1
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] in _CALLED_THROUGH:
        frame, level = frame.f_back, level + 1
    return level


def own_random_state(random_state):
    """Turn `random_state` (None, int or `numpy.random.RandomState`) into a RandomState.

    As `sklearn.utils.check_random_state`, but None gives a new one and not NumPy's global one.
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


# Lock for changes of state that all threads share: torch's default generators, default dtype and cuDNN's flags.
_PROCESS = threading.RLock()


@contextlib.contextmanager
def own_modes(device):
    """Run a block with gradients enabled, without autocast and with the CPU as default device, whatever the caller set.

    These modes are specific to a thread, so blocks in several threads are independent. The block has to use its own
    `torch.Generator` and to state the dtype of new tensors.

    Parameters
    ----------
    device : torch.device
        Device on which the block computes.
    """
    _refuse_threads_after_fork()
    # A device context slows down every torch call, so it is entered only if the caller changed the default device.
    on_cpu = contextlib.nullcontext() if torch.get_default_device().type == "cpu" else torch.device("cpu")
    no_autocast = [
        torch.autocast(kind, enabled=False, cache_enabled=False)
        for kind in {"cpu", device.type}
        if torch.is_autocast_enabled(kind)
    ]
    with contextlib.ExitStack() as stack:
        # A network may open autocast itself. Torch keeps converted weights until the outermost autocast context ends,
        # which may be the caller's: all steps would compute with the weights of the first.
        stack.callback(torch.set_autocast_cache_enabled, torch.is_autocast_cache_enabled())
        torch.set_autocast_cache_enabled(False)
        for context in (torch.inference_mode(False), torch.enable_grad(), on_cpu, *no_autocast):
            stack.enter_context(context)
        yield


@contextlib.contextmanager
def isolated(device, seed):
    """Run a block with seeded torch default generators, and restore the caller's torch state afterwards.

    For code that uses torch's default generators. These are shared by all threads of a process, as are the default
    dtype (float32 inside) and cuDNN's flags (deterministic inside), so only one thread at a time can run such a block;
    others wait. Everything is restored at the end, also after an exception. The modes are those of `own_modes`.

    Parameters
    ----------
    device : torch.device
        Device whose generator is seeded and restored, in addition to the CPU's.
    seed : int
        Seed of both generators.
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
                if on_accelerator:  # torch.manual_seed would also seed other devices
                    with torch.cuda.device(device) if device.type == "cuda" else contextlib.nullcontext():
                        torch.get_device_module(device).manual_seed(seed)
                yield
            finally:
                torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = cudnn
                torch.set_default_dtype(default_dtype)


def training_context(device, seed, networks):
    """Return the context for training networks: `own_modes` where that is enough, else `isolated`.

    `isolated` is needed for networks that use torch's default generators in training (`draws_from_torch`), and on other
    devices than the CPU, because of cuDNN's flags. Then trainings in several threads of one process run one at a time.

    Parameters
    ----------
    device : torch.device
        Device of the training.
    seed : int
        Seed of torch's default generators, if the context is `isolated`.
    networks : iterable of torch.nn.Module
        The networks.
    """
    is_shared = device.type != "cpu" or any(map(draws_from_torch, networks))
    return isolated(device, seed) if is_shared else own_modes(device)


def draws_from_torch(network):
    """Whether a network may use torch's default generators in training, as dropout does.

    Assumed for modules of other packages.
    """
    return any(
        type(module).__module__.partition(".")[0] not in ("torch", __package__)
        or (isinstance(module, _DropoutNd) and module.p > 0)
        or isinstance(module, nn.RReLU | nn.FractionalMaxPool2d | nn.FractionalMaxPool3d)
        or (isinstance(module, nn.MultiheadAttention | nn.RNNBase) and module.dropout > 0)
        for module in network.modules()
    )


def random_stream(device, seed=None):
    """Return a `torch.Generator` on `device`, with this seed, or one from torch's default generator."""
    if seed is None:
        seed = torch.randint(_MAX_SEED, ()).item()
    return torch.Generator(device=device).manual_seed(seed)


def check_precision(precision, device):
    """Raise an error where training on a device is not possible in a precision.

    Parameters
    ----------
    precision : {"auto", "float32", "bfloat16"}
        As in `mixed_precision`.
    device : torch.device
        Device of the training.

    Raises
    ------
    ValueError
        When there is no such precision, or the autocast of the device does not support bfloat16.
    """
    if precision not in _PRECISIONS:
        raise ValueError(f"precision must be one of {', '.join(map(repr, _PRECISIONS))}; got {precision!r}.")
    if precision == "bfloat16" and not _autocasts_to_bfloat16(device.type):
        raise ValueError(
            f"precision must be 'auto' or 'float32' on device {str(device)!r}, whose autocast does not support "
            "bfloat16; got 'bfloat16'."
        )


def _autocasts_to_bfloat16(kind):
    if kind == "cpu":
        return True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # for some kinds of device, torch warns and then does nothing
            with torch.autocast(kind, torch.bfloat16):
                return torch.is_autocast_enabled(kind) and torch.get_autocast_dtype(kind) is torch.bfloat16
    except (RuntimeError, AssertionError):  # the latter for backends of other packages
        return False


def warn_of_slow_precision(precision, devices):
    """Warn where training in a precision is slower than in float32, on one of these devices."""
    slow = [str(device) for device in devices if not _has_bfloat16_instructions(device)]
    if precision == "bfloat16" and slow:
        warnings.warn(
            "precision='bfloat16' is slower than 'float32' on a device without instructions for bfloat16 (CPUs: "
            f"avx512_bf16 or amx_bf16), and none were found for {slow[0]!r}. Pass precision='auto', which is 'float32' "
            "there.",
            UserWarning,
            stacklevel=stacklevel_of_user(),
        )


def mixed_precision(device, precision="auto"):
    """Return the autocast context of a forward pass in training.

    Weights, optimisers and averages stay in float32. The choice does not depend on a timing, so that a machine always
    gives the same images.

    Parameters
    ----------
    device : torch.device
        Device of the training.
    precision : {"auto", "float32", "bfloat16"}, default="auto"
        Precision of most layers, as `check_precision` accepts it. "auto" is bfloat16 on CUDA devices with instructions
        for it, and float32 elsewhere.

    Returns
    -------
    context : context manager
        Of no effect in float32.
    """
    is_automatic = precision == "auto" and device.type == "cuda" and _has_bfloat16_instructions(device)
    if precision == "bfloat16" or is_automatic:
        # Without torch's cache of converted weights, which is emptied at the end of the outermost autocast context:
        # where the caller has one open, all steps of a training would compute with the weights of the first.
        return torch.autocast(device.type, torch.bfloat16, cache_enabled=False)
    return contextlib.nullcontext()


def _has_bfloat16_instructions(device):
    """Whether a device multiplies bfloat16 matrices in hardware; assumed of devices other than CPU and CUDA."""
    if device.type == "cpu":
        return torch.backends.mkldnn.is_available() and not _BFLOAT16_FLAGS.isdisjoint(_flags_of_cpu())
    if device.type != "cuda":
        return True
    with torch.cuda.device(device):  # torch answers for the current one
        return torch.cuda.is_bf16_supported(including_emulation=False)


@functools.cache
def _flags_of_cpu():
    """Return the names of the processor's features; empty on systems other than Linux.

    Not from torch, which has no public function for it in every supported version.
    """
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            return frozenset(next((line for line in file if line.startswith("flags")), "").split())
    except OSError:
        return frozenset()


@contextlib.contextmanager
def threads(n_threads):
    """Run a block with `n_threads` threads inside torch's operators; their number affects rounding on the CPU."""
    before = torch.get_num_threads()
    if before == n_threads:  # setting the same number would still restart the threads
        yield
        return
    torch.set_num_threads(n_threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def memory_of_this_machine():
    """Return the largest size of an array, in bytes.

    Linux and macOS may allocate more than the physical memory, and kill the process when it is used. Windows does not.
    """
    if "SC_PHYS_PAGES" in getattr(os, "sysconf_names", ()):
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return sys.maxsize


def keep_freed_memory():
    """Keep freed memory of large tensors in the process, for the rest of its life.

    glibc returns every freed block of more than 32 MB to the kernel, and the next tensor of that size causes a page
    fault for each 4 kB: a seventh of the training time for images of 128 x 128 pixels. The settings cannot be reverted,
    so only programs call this function, never a fit. Nothing is changed without glibc, or if the user has set glibc's
    environment variables.
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
    """Return an identifier of this process that is unique across machines: host name and process id."""
    return socket.gethostname(), os.getpid()


@contextlib.contextmanager
def end_with_parent(sender):
    """End this worker process within about a second after its parent process has ended.

    Otherwise a worker whose parent was killed would continue its training. On a cluster, the parent is the process that
    started the worker on the same machine.

    Parameters
    ----------
    sender : tuple
        `this_process` of the process that sent the work.
    """
    parent, is_done = os.getppid(), threading.Event()
    if parent == 1 and not _may_exist(sender):  # the parent was killed before this check
        os._exit(1)

    def watch():
        while not is_done.wait(_WATCH_EVERY):
            if os.getppid() != parent:  # the process was re-parented
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
    """Whether this process was forked from one in which torch had used several threads."""

    had_threads = False  # in this process
    is_unsafe = False


def _note_fork():
    global _PROCESS
    _Fork.is_unsafe = _Fork.had_threads
    _PROCESS = threading.RLock()  # another thread, which does not exist here, may have held the lock


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_note_fork)


def _refuse_threads_after_fork():
    """Raise an error where torch would wait forever for threads that a fork has not copied."""
    if torch.get_num_threads() == 1:
        return
    if _Fork.is_unsafe:
        raise RuntimeError(
            "This process was forked from one in which torch had already computed with several threads, which are "
            "missing here: torch would wait for them forever. Start workers anew (joblib's default backend, or "
            "multiprocessing's 'spawn'), or call torch.set_num_threads(1) before the first fit or in the worker."
        )
    _Fork.had_threads = True
