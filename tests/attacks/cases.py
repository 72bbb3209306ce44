"""What must hold of the public interface, whatever it is given; one function for each kind of attack."""

import contextlib
import copy
import io
import math
import pickle
import random
import re
import tempfile
import traceback
import warnings
from pathlib import Path

import joblib
import numpy as np
import torch
from imblearn.over_sampling.base import BaseOverSampler
from PIL import Image
from scipy.sparse import csr_matrix
from sklearn.base import BaseEstimator, clone
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

import gan_sampler
from gan_sampler import DCGANOverSampler, PoorQualityError, ResNet18Embedder, quality_report
from gan_sampler.datasets import load_image_folder
from gan_sampler.quality import _report
from gan_sampler.training import read_file, write_file

from . import inputs

DOCUMENTED = (
    ValueError,
    TypeError,
    MemoryError,
    ImportError,
    PoorQualityError,
    FloatingPointError,
    FileNotFoundError,
)


class FaultError(Exception):
    """Something does not hold that must."""


def require(condition, what):
    if not condition:
        raise FaultError(what)


# What a call must leave alone


def process_state():
    """Return all that threads of the process share and a caller may have set."""
    return {
        "torch random state": torch.get_rng_state().numpy().tobytes(),
        "NumPy random state": str(np.random.get_state()),
        "random's state": random.getstate(),
        "default dtype": torch.get_default_dtype(),
        "default device": torch.get_default_device(),
        "cuDNN flags": (torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark),
        "threads": torch.get_num_threads(),
        "gradients": (torch.is_grad_enabled(), torch.is_inference_mode_enabled()),
        "autocast": (torch.is_autocast_enabled("cpu"), torch.get_autocast_dtype("cpu")),
        "deterministic algorithms": torch.are_deterministic_algorithms_enabled(),
        "NumPy errors": str(np.geterr()),
    }


@contextlib.contextmanager
def leaves_the_process_alone():
    before = process_state()
    yield
    after = process_state()
    changed = [name for name in before if before[name] != after[name]]
    require(not changed, f"changed of the caller's: {', '.join(changed)}")


@contextlib.contextmanager
def modes(case):
    """Enter modes of torch that a caller may be in, and that must change nothing."""
    flags = torch.get_default_dtype(), torch.backends.cudnn.benchmark
    with contextlib.ExitStack() as stack:
        names = ("double", "no_grad", "inference", "autocast", "meta", "cudnn", "threads")
        chosen = [name for name in names if case.chance(0.3)]
        case.tell("modes of the caller", chosen)
        try:
            if "double" in chosen:
                torch.set_default_dtype(torch.float64)
            if "cudnn" in chosen:
                torch.backends.cudnn.benchmark = True
            contexts = {
                "no_grad": torch.no_grad,
                "inference": torch.inference_mode,
                "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
                "meta": lambda: torch.device("meta"),
                "threads": lambda: joblib.parallel_config(backend="threading", n_jobs=2),
            }
            for name in chosen:
                if name in contexts:
                    stack.enter_context(contexts[name]())
            yield
        finally:
            torch.set_default_dtype(flags[0])
            torch.backends.cudnn.benchmark = flags[1]


def attempt(case, call, names):
    """Return what `call` returns, or the exception it raises where that is a documented one that names an argument.

    Parameters
    ----------
    case : Case
        What is expected.
    call : callable
        Takes nothing.
    names : collection of str
        Arguments, one of which a message must name.
    """
    with warnings.catch_warnings(record=True) as caught, leaves_the_process_alone():
        warnings.simplefilter("always")
        try:
            result = call()
        except DOCUMENTED as exc:
            result = exc
        except Exception as exc:
            if not (_is_of_wrapped(exc) and (case.bad or case.unsure)):
                raise
            result = exc
    for warning in caught:
        is_noise = issubclass(warning.category, RuntimeWarning | DeprecationWarning | FutureWarning)
        if is_noise and "gan_sampler" in warning.filename:
            raise FaultError(f"a {warning.category.__name__} escaped: {warning.message} ({_place(warning)})")
    if isinstance(result, Exception):
        _check_exception(case, result, names)
    else:
        require(not case.bad or case.unsure, f"accepted what is no good: {', '.join(case.bad)}")
    return result


def _place(warning):
    return f"{Path(warning.filename).name}:{warning.lineno}"


def _check_exception(case, exc, names):
    told = f"{type(exc).__name__} at {place_of(exc)}: {str(exc)[:300]}"
    if isinstance(exc, PoorQualityError):
        return
    is_named = any(re.search(rf"(?<!\w){re.escape(name)}(?!\w)", str(exc)) for name in names)
    require(is_named or _is_of_wrapped(exc), f"an error that names no argument: {told}")
    require(case.bad or case.unsure, f"refused what is good: {told}")


def _is_of_wrapped(exc):
    """Whether an exception comes from a sampler that PixelSampler wraps, whose words are its own."""
    frames = [frame.filename for frame in traceback.extract_tb(exc.__traceback__)]
    return any(name.endswith("_pixel.py") for name in frames) and "gan_sampler" not in frames[-1]


def place_of(exc):
    """Return the innermost place in the package that an exception passed."""
    frames = [frame for frame in traceback.extract_tb(exc.__traceback__) if "gan_sampler/" in frame.filename]
    if not frames:
        return "no place in gan_sampler"
    return f"{frames[-1].filename.rpartition('gan_sampler/')[2]}:{frames[-1].lineno}"


def fitted_attributes(estimator):
    return {name: value for name, value in vars(estimator).items() if name.endswith("_") and not name.startswith("_")}


def names_of(estimator):
    return {*estimator.get_params(deep=False), "X", "y"}


# Kinds of attack


def resample(case):
    """`fit_resample` of every sampler on images, labels, strategies and parameters of all sorts."""
    sampler, found, X, given, limits, end = _all_inputs(case)
    with _kept(sampler, X, found.y):
        result = attempt(case, lambda: sampler.fit_resample(X, found.y), names_of(sampler))
    if isinstance(result, Exception):
        left = fitted_attributes(sampler)
        require(not left or left.get("generators_"), f"a failed fit left {', '.join(left)}")
        return type(result).__name__
    _check_result(case, sampler, result, found, X, given, limits, end)
    if not isinstance(sampler, gan_sampler.PixelSampler) and not isinstance(
        sampler.random_state, int | np.integer
    ):  # None draws anew, a RandomState goes on
        return "result"
    again = clone(sampler)
    with modes(case):
        others = attempt(case, lambda: again.fit_resample(X, found.y), names_of(sampler))
    require(not isinstance(others, Exception), f"the same fit failed the second time: {others!r}")
    for first, second, name in zip(result, others, "Xy", strict=True):
        require(_bytes(first) == _bytes(second), f"{name} of the same seed differs")
    return "result"


def _all_inputs(case, *, may_be_bad=True):
    found = inputs.labels(case, may_be_bad=may_be_bad)
    X, given, parameters, limits = inputs.images(case, sum(found.counts), may_be_bad=may_be_bad)
    sampler, end = inputs.sampler(case, found, parameters, may_be_bad=may_be_bad)
    return sampler, found, X, given, limits, end


@contextlib.contextmanager
def _kept(sampler, X, y):
    """Require that a call leaves its arguments and parameters as they are."""
    before = [(_bytes(values), name) for values, name in ((X, "X"), (y, "y"))]
    parameters = sampler.get_params(deep=False)
    yield
    for (content, name), values in zip(before, (X, y), strict=True):
        require(content == _bytes(values), f"{name} of the caller was changed")
    changed = [name for name, value in sampler.get_params(deep=False).items() if value is not parameters[name]]
    require(not changed, f"parameters were changed: {', '.join(changed)}")


def _bytes(values):
    """Return what an array holds, or nothing of what is none."""
    try:
        array = np.ascontiguousarray(values.detach() if isinstance(values, torch.Tensor) else values)
        return repr(array.tolist()).encode() if array.dtype == object else array.tobytes()
    except (TypeError, ValueError, AttributeError, RuntimeError):
        return b""


def _check_result(case, sampler, result, found, X, given, limits, end):
    X_new, y_new = result
    # NumPy would make a native array of a list of others
    images, n = np.asarray(X_new, dtype=X_new[0].dtype if isinstance(X_new, list) else None), len(given)
    require(type(X_new) is (type(X) if isinstance(X, list) or hasattr(X, "iloc") else np.ndarray), "another container")
    if case.bad:
        return
    require(images.dtype == given.dtype, f"dtype {given.dtype} became {images.dtype}")
    require(images.dtype.byteorder == given.dtype.byteorder, "another byte order")
    require(images.shape[1:] == given.shape[1:], f"shape {given.shape[1:]} became {images.shape[1:]}")
    _check_originals(sampler, found, images, y_new, given)
    if hasattr(X, "columns"):
        require(list(X_new.columns) == list(X.columns), "other columns")
    if images.dtype.kind == "f":
        require(np.isfinite(images).all(), "images that are not finite")
    if limits is not None and images.dtype.kind != "b":
        number = float if images.dtype.kind == "f" else int
        least, most = number(images.min()), number(images.max())
        require(limits[0] <= least and most <= limits[1], f"values {least} to {most} beyond {limits}")
    codes = found.codes(y_new)
    require(len(codes) == len(images), "images and labels of unlike number")
    if end is not None and not case.unsure:
        counts = np.bincount(codes, minlength=len(end)).tolist()
        require(counts == end, f"{counts} images a class in place of {end}")
    if isinstance(found.y, np.ndarray):
        is_wrapped = isinstance(sampler, gan_sampler.PixelSampler)  # some of imbalanced-learn's change the byte order
        kinds = [dtype.newbyteorder("=") if is_wrapped else dtype for dtype in (y_new.dtype, found.y.dtype)]
        require(kinds[0] == kinds[1], f"labels of dtype {found.y.dtype} became {y_new.dtype}")
    if hasattr(sampler, "synthetic_mask_"):
        mask = sampler.synthetic_mask_
        require(mask.shape == (len(images),) and mask.dtype == bool and not mask[:n].any(), "a wrong synthetic_mask_")
        require(np.array_equal(mask, np.sort(mask)), "synthetic images before repeated ones")
        if str(sampler.synthetic_classes) == "resampled" and sampler.on_poor_quality != "repeat":
            added, made = (np.bincount(codes[rows], minlength=len(found.counts)) for rows in (slice(n, None), mask))
            wanted = [max(1, round((1 - sampler.repeated_share) * int(k))) if k else 0 for k in added]
            require(made.tolist() == wanted, f"{made} synthetic images a class in place of {wanted}")
        is_repeated = np.flatnonzero(~mask[n:]) + n
        originals = {image.tobytes() for image in given}
        is_changed = np.array([image.tobytes() not in originals for image in images[is_repeated]], dtype=bool)
        repeated = np.bincount(codes[is_repeated], minlength=len(found.counts))
        changed = np.bincount(codes[is_repeated][is_changed], minlength=len(found.counts))
        keeps_all = str(sampler.synthetic_classes) == "all" or sampler.image_shape == "row"
        share = 0 if keeps_all else getattr(sampler, "augmented_share", 0)
        # Two places of a class: the repeated images, and those in place of poor ones.
        most = [math.ceil(share * int(k)) + 1 if share else 0 for k in repeated]
        require((changed <= most).all(), f"{changed} repeated images a class are no originals, of at most {most}")


def _check_originals(sampler, found, images, y_new, given):
    is_smoothed = getattr(getattr(sampler, "sampler", None), "shrinkage", None) is not None
    places = None if is_smoothed else getattr(sampler, "sample_indices_", None)
    is_over_sampler = isinstance(getattr(sampler, "sampler", sampler), BaseOverSampler)
    if places is not None:
        require(images[: len(places)].tobytes() == given[places].tobytes(), "kept images are not the originals")
    elif is_over_sampler:
        require(images[: len(given)].tobytes() == given.tobytes(), "originals are not an untouched prefix")
        labels = np.asarray(y_new)[: len(given)]
        require(np.array_equal(labels, np.asarray(found.y)), "labels of the originals were changed")


def refit(case):
    """A fit that fails after one that went well: the sampler must be as it was."""
    case.samplers = [name for name in case.samplers if name != "PixelSampler"]
    sampler, found, X, _, _, _ = _all_inputs(case, may_be_bad=False)
    sampler.set_params(on_poor_quality="warn", herding=False, quality=False)
    first = attempt(case, lambda: sampler.fit_resample(X, found.y), names_of(sampler))
    if isinstance(first, Exception):
        return type(first).__name__
    before, drawn = fitted_attributes(sampler), _draw(sampler)
    ways = {
        "labels": lambda: sampler.fit_resample(X, [None] * sum(found.counts)),
        "too few labels": lambda: sampler.fit_resample(X, np.asarray(found.y)[:-1]),
        "images": lambda: sampler.fit_resample(np.full((sum(found.counts), 8, 8), np.nan), found.y),
        "strategy": lambda: sampler.set_params(sampling_strategy={"no such": 4}).fit_resample(X, found.y),
        "room": lambda: sampler.set_params(sampling_strategy={found.keys[0]: 10**13}).fit_resample(X, found.y),
        "parameter": lambda: sampler.set_params(synthetic_ratio=-1).fit_resample(X, found.y),
        "fit alone": lambda: sampler.fit(X, [None] * sum(found.counts)),
        "range": lambda: sampler.set_params(value_range=(1, 0)).fit_resample(X, found.y),
        "embedder": lambda: sampler.set_params(herding=FunctionTransformer(_fail)).fit_resample(X, found.y),
    }
    way = case.tell("then a bad", case.pick(ways))
    case.bad.append(way)
    parameters = sampler.get_params(deep=False)
    try:
        with warnings.catch_warnings(), leaves_the_process_alone():
            warnings.simplefilter("ignore")
            ways[way]()
    except (ValueError, TypeError, MemoryError) as exc:
        outcome = type(exc).__name__
    else:
        needs_no_embedder = way == "embedder" and not any(sampler.sampling_strategy_.values())
        require(needs_no_embedder, "the bad fit was accepted")
        return "result"
    sampler.set_params(**parameters)
    after = fitted_attributes(sampler)
    changed = [name for name in {**before, **after} if before.get(name) is not after.get(name)]
    require(not changed, f"a failed refit changed {', '.join(changed)}")
    require(_draw(sampler) == drawn, "other images after a failed refit")
    return outcome


def _fail(X):
    raise ValueError("herding cannot be done")


def _draw(sampler):
    if not hasattr(sampler, "sample"):
        return None
    return [sampler.sample(3, label, random_state=5).tobytes() for label in sampler.generators_]


def persist(case):
    """Pickles, deep copies and files of a fitted sampler draw the same images."""
    case.samplers = inputs.GAN_SAMPLERS
    sampler, found, X, _, _, _ = _all_inputs(case, may_be_bad=False)
    sampler.set_params(on_poor_quality="warn", herding=False, quality=False)
    result = attempt(case, lambda: sampler.fit_resample(X, found.y), names_of(sampler))
    if isinstance(result, Exception):
        return type(result).__name__
    drawn = _draw(sampler)
    copies = {"pickle": pickle.loads(pickle.dumps(_without_functions(sampler))), "deepcopy": copy.deepcopy(sampler)}
    if not callable(sampler.sampling_strategy):
        with tempfile.TemporaryDirectory() as folder, leaves_the_process_alone():
            sampler.save(Path(folder, "sampler"))
            copies["file"] = type(sampler).load(Path(folder, "sampler"))
            require([file.name for file in Path(folder).iterdir()] == ["sampler"], "files left beside a saved one")
    for way, copied in copies.items():
        require(_draw(copied) == drawn, f"a {way} draws other images")
        require(list(copied.generators_) == list(sampler.generators_), f"a {way} has other labels")
    return "result"


def _without_functions(sampler):
    copied = copy.copy(sampler)
    if callable(copied.sampling_strategy):
        copied.sampling_strategy = "auto"
    return copied


_MADE = {}  # what many cases start from, made once


def _made(name, make):
    if name not in _MADE:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            _MADE[name] = make()
    return _MADE[name]


def _toy():
    X = np.random.RandomState(0).randint(0, 256, (30, 8, 8), dtype=np.uint8)
    return X, np.array(["a"] * 5 + ["b"] * 20 + ["c"] * 5)


def _fitted(cls=DCGANOverSampler, **parameters):
    sampler = cls(n_steps=3, base_channels=2, random_state=0, **parameters)
    sampler.fit_resample(*_toy())
    return sampler


def _saved_bytes():
    with tempfile.TemporaryDirectory() as folder:
        _fitted(latent_dim=3).save(Path(folder, "file"))
        return Path(folder, "file").read_bytes()


_CHECKPOINTED = {"latent_dim": 3, "sampling_strategy": {"a": 20}}


def _checkpoint_bytes():
    with tempfile.TemporaryDirectory() as folder:
        _fitted(checkpoint_dir=folder, **_CHECKPOINTED)
        (file,) = Path(folder).iterdir()
        return file.name, file.read_bytes()


def damage(case):
    """Flipped bits and cut ends of saved samplers and checkpoints are told, never taken."""
    is_checkpoint = case.chance(0.5)
    name, content = _made("checkpoint", _checkpoint_bytes) if is_checkpoint else ("s", _made("saved", _saved_bytes))
    case.tell("file", "checkpoint" if is_checkpoint else "saved sampler")
    damaged = _damaged(case, content)
    case.bad.append("a damaged file")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, name)
        path.write_bytes(damaged)
        if is_checkpoint:
            sampler = DCGANOverSampler(
                n_steps=3, base_channels=2, random_state=0, checkpoint_dir=folder, **_CHECKPOINTED
            )
            result = attempt(case, lambda: sampler.fit_resample(*_toy()), [name])
        else:
            result = attempt(case, lambda: DCGANOverSampler.load(path), [str(path)])
        require(path.read_bytes() == damaged, "a damaged file was overwritten")
    return type(result).__name__


def _damaged(case, content):
    changed, place = bytearray(content), case.whole(0, len(content) - 1)
    if case.chance(0.5):
        place = case.whole(0, min(len(content) - 1, 3000))  # in the header
    ways = ["flipped bit", "cut", "zeros", "swapped", "longer", "empty"]
    way = case.pick(["flipped bit"] * 5 + ways)
    case.tell("damage", f"{way} at {place} of {len(content)}")
    if way == "flipped bit":
        changed[place] ^= 1 << case.whole(0, 7)
    elif way == "cut":
        del changed[place:]
    elif way == "zeros":
        changed[place : place + 64] = bytes(len(changed[place : place + 64]))
    elif way == "swapped":
        other = (place + case.whole(1, len(content) - 1)) % len(content)
        changed[place], changed[other] = changed[other], changed[place]
    elif way == "longer":
        changed += bytes(case.whole(1, 100))
    else:
        changed.clear()
    if bytes(changed) == content:
        changed[-1] ^= 1
    return bytes(changed)


_FORGED = [
    None,
    True,
    -1,
    0,
    2,
    10**9,
    10**400,
    1.5,
    float("nan"),
    float("inf"),
    "",
    "x",
    [],
    [1],
    {},
    {"type": "dict"},
]


def forge(case):
    """Files with a right checksum and something wrong in them: refused, or what they say is done."""
    is_checkpoint = case.chance(0.5)
    name, content = _made("checkpoint", _checkpoint_bytes) if is_checkpoint else ("s", _made("saved", _saved_bytes))
    case.unsure.append("a forged file")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, name)
        path.write_bytes(content)
        tensors, values = read_file(path)
        if case.chance(0.25):
            _forge_tensor(case, tensors)
        else:
            _forge_value(case, values)
        write_file(path, tensors, values)
        if is_checkpoint:
            sampler = DCGANOverSampler(
                n_steps=6, base_channels=2, random_state=0, checkpoint_dir=folder, **_CHECKPOINTED
            )
            result = attempt(case, lambda: sampler.fit_resample(*_toy()), [name, "n_steps", "learning_rate"])
        else:
            result = attempt(case, lambda: _load_and_draw(path), [str(path)])
    return type(result).__name__ if isinstance(result, Exception) else "result"


def _load_and_draw(path):
    sampler = DCGANOverSampler.load(path)
    for label in sampler.generators_:
        images = sampler.sample(2, label, random_state=0)
        require(images.shape == (2, *sampler.image_format_.row_shape), "images of another shape")
    return sampler


def _forge_value(case, values):
    where, place = [], values
    while True:
        keys = list(place) if isinstance(place, dict) else range(len(place))
        key = case.pick(keys)
        where.append(key)
        if not isinstance(place[key], dict | list) or not place[key] or case.chance(0.15):
            break
        place = place[key]
    way = case.pick(["replaced", "replaced", "replaced", "left out"])
    if way == "left out":
        del place[key]
        case.tell("forged", f"{where} left out")
    else:
        place[key] = case.pick(_FORGED)
        case.tell("forged", f"{where} = {place[key]!r}")


def _forge_tensor(case, tensors):
    name = case.pick(sorted(tensors))
    tensor = tensors[name]
    ways = {
        "NaN": lambda: torch.full_like(tensor, float("nan")) if tensor.is_floating_point() else tensor - 10**6,
        "huge": lambda: torch.full_like(tensor, 3e38) if tensor.is_floating_point() else tensor + 10**9,
        "longer": lambda: torch.cat([tensor.reshape(-1), tensor.reshape(-1)]),
        "double": lambda: tensor.double(),
        "empty": lambda: tensor.reshape(-1)[:0],
    }
    way = case.pick([*ways, "left out"])
    case.tell("forged", f"tensor {name} {way}")
    if way == "left out":
        del tensors[name]
    elif tensor.dtype != torch.uint8 or way in ("longer", "double", "empty"):
        tensors[name] = ways[way]()


def sample(case):
    """`sample` and `load` with arguments of all sorts."""
    cls = case.pick([DCGANOverSampler, gan_sampler.ConditionalDCGANOverSampler])
    sampler = _made(cls.__name__, lambda: _fitted(cls))
    case.tell("sampler", cls.__name__)
    good_label = case.pick(["a", "c", np.str_("a")])
    label = case.pick([good_label] * 6 + ["b", "no", None, ["a"], 0, float("nan"), {}, np.array(["a"]), b"a"])
    if not isinstance(label, str) or label not in ("a", "c"):
        case.bad.append("label")
    good = [0, 1, 3, 70, np.int64(2), np.uint8(2)]
    bad = [-1, 1.5, "2", None, [2], float("nan"), np.float64(2), 10**14, 10**30]
    n = case.pick(good) if case.chance(0.7) else case.pick(bad)
    if not isinstance(n, int | np.integer) or n < 0 or n > 10**6:
        case.bad.append("n")
    seeds, no_seeds = [0, None, np.int64(7), 2**32 - 1, np.random.RandomState(0)], [-1, 2**32, "0", 0.5, [1], 2**70]
    seed = case.pick(seeds) if case.chance(0.8) else case.pick(no_seeds)
    if any(seed is no_seed for no_seed in no_seeds):
        (case.unsure if isinstance(seed, int | list) else case.bad).append("random_state")
    case.tell("arguments", (n, label, seed))
    images = attempt(case, lambda: sampler.sample(n, label, random_state=seed), ["n", "label", "random_state", "seed"])
    if isinstance(images, Exception):
        return type(images).__name__
    require(images.shape == (n, 8, 8) and images.dtype == np.uint8, "images of another shape or dtype")
    if isinstance(seed, int | np.integer):
        require(
            images.tobytes() == sampler.sample(int(n), str(label), random_state=int(seed)).tobytes(), "other images"
        )
    return "result"


class _Odd(BaseEstimator):
    """An embedder that returns what it must not, or in an unusual form."""

    def __init__(self, way):
        self.way = way

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        rows = inputs.flatten(X)
        return {
            "NaN": lambda: rows * np.nan,
            "too few": lambda: rows[1:],
            "text": lambda: rows.astype(str),
            "none": lambda: rows[:, :0],
            "complex": lambda: rows.astype(complex),
            "sparse": lambda: csr_matrix(rows),
            "tensor": lambda: torch.from_numpy(rows).requires_grad_(),
            "one number": lambda: rows[:, 0],
            "constant": lambda: np.zeros((len(rows), 3)),
            "huge": lambda: rows / max(1e-300, abs(rows).max() or 1) * 1e300,
            "list": lambda: rows.tolist(),
        }[self.way]()


def quality(case):
    """`quality_report` on sets of images of all sorts."""
    _report._FOREST.set_params(n_estimators=3)
    n = case.whole(10, 24)
    X_real, given, parameters, _ = inputs.images(case, n, may_be_bad=case.chance(0.5))
    sets = {"X_real": X_real}
    for name in ("X_synthetic", "X_holdout", "X_rest"):
        if name != "X_synthetic" and case.chance(0.5):
            sets[name] = None
            continue
        sets[name] = _another_set(case, name, given)
    embedders = {
        "flatten": inputs.FLATTEN,
        "PCA": make_pipeline(FunctionTransformer(inputs.flatten), PCA(2)),
        **{way: _Odd(way) for way in ("sparse", "tensor", "one number", "constant", "list")},
    }
    bad = {way: _Odd(way) for way in ("NaN", "too few", "text", "none", "complex")}
    bad |= {"a class": PCA, "a number": 3, "text ": "flatten"}
    if case.chance(0.15):
        way = case.pick(bad)
        case.bad.append("embedder")
    elif case.chance(0.05):
        way, embedders["huge"] = "huge", _Odd("huge")
        case.unsure.append("huge features")
    else:
        way = case.pick([*["flatten"] * 5, *embedders])
    case.tell("embedder", way)
    options = {"random_state": case.pick([0, np.int64(1)]), "max_images": case.pick([10, 12, 1000, np.int64(11)])}
    if case.chance(0.06):
        options["max_images"] = case.pick([9, 0, -1, 1.5, "10", None, float("nan")])
        case.bad.append("max_images")
    case.unsure.append("fewer different images than are needed")
    case.tell("options", options)
    names = [*sets, "embedder", "image_shape", "data_format", "value_range", "max_images", "random_state"]

    def report():
        return quality_report(**sets, embedder={**embedders, **bad}[way], **parameters, **options)

    result = attempt(case, report, names)
    if isinstance(result, Exception):
        return type(result).__name__
    hard = [reason for reason in case.bad if not reason.startswith("X: ")]
    require(not hard, f"accepted what is no good: {', '.join(hard)}")
    again = attempt(case, report, names)
    require(str(result) == str(again), "the same seed gives another report")
    require(len(repr(result)) > 0 and pickle.loads(pickle.dumps(result)) is not None, "no text or pickle of a report")
    for name, value in vars(result).items():
        if isinstance(value, float):
            require(np.isfinite(value), f"{name} is {value}")
    return "result"


def _another_set(case, name, given):
    """Return images that go with others, or, seldom, do not."""
    if given.ndim < 2 or given.dtype.kind not in "biuf" or not len(given):
        return given
    n = case.whole(10, 24)
    ways = {
        "drawn from it": lambda: given[case.random.randint(0, len(given), n)],
        "its own noise": lambda: _shuffled(case, given, n),
        "the same": lambda: given,
        "list": lambda: list(_shuffled(case, given, n)),
    }
    bad = {
        "nine": lambda: given[:9],
        "none": lambda: given[:0],
        "another shape": lambda: np.concatenate([given, given], axis=-1),
        "another kind": lambda: given > given.min() if given.dtype.kind != "b" else given.astype(float),
        "text": lambda: "images",
    }
    way = case.pick([*list(ways) * 6, *bad])
    if way in bad:
        case.bad.append(name)
    case.tell(name, way)
    return {**ways, **bad}[way]()


def _shuffled(case, given, n):
    made = given[case.random.randint(0, len(given), n)].copy()
    flat = made.reshape(n, -1)
    return case.random.permutation(flat.T).T.reshape(made.shape)


def embed(case):
    """Embedders on images of all sorts."""
    X, given, parameters, _ = inputs.images(case, case.whole(2, 5))
    options = {"batch_size": case.pick([1, 3, np.int64(2)]), "random_state": case.pick([0, np.int64(1)])}
    y = None
    if case.chance(0.3):
        options["fine_tune_epochs"] = 1
        good = np.arange(len(given)) % 2
        spoilt = {"None": None, "one class": np.zeros(len(given), int), "short": good[:-1], "fractions": good + 0.5}
        way = case.pick(["good"] * 3 + list(spoilt))
        y = good if way == "good" else spoilt[way]
        if way != "good":
            case.bad.append(f"y: {way}")
        case.tell("y", way)
    if case.chance(0.1):
        key = case.pick(["input_size", "batch_size", "weights", "memory", "learning_rate"])
        options[key] = case.pick(inputs.WRONG)
        case.unsure.append(f"{key}={options[key]!r}")
    embedder = ResNet18Embedder(**{"weights": None, "input_size": 32, **parameters, **options})
    case.tell("parameters", {**parameters, **options})
    features = attempt(case, lambda: embedder.fit(X, y).transform(X), names_of(embedder))
    if isinstance(features, Exception):
        return type(features).__name__
    require(features.shape == (len(given), 512) and features.dtype == np.float32, "features of another shape or dtype")
    require(np.isfinite(features).all(), "features that are not finite")
    with modes(case):
        again = attempt(case, lambda: clone(embedder).fit(X, y).transform(X), names_of(embedder))
    require(_bytes(again) == _bytes(features), "the same seed gives other features")
    return "result"


def _written(mode, suffix, shape, random):
    pixels = random.randint(0, 256, (*shape, *((3,) if mode == "RGB" else ())), dtype=np.uint8)
    image = Image.fromarray(pixels.astype(np.uint16) * 257) if mode == "I;16" else Image.fromarray(pixels)
    buffer = io.BytesIO()
    image.save(buffer, {"png": "PNG", "jpg": "JPEG", "bmp": "BMP", "tif": "TIFF"}[suffix])
    return buffer.getvalue()


_EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n%%EOF\n"


def folder(case):
    """`load_image_folder` on folders with damaged and foreign files in them."""
    on_error = case.tell("on_error", case.pick(["raise", "skip"]))
    mode = case.tell("mode", case.pick(["L", "L", "RGB", "I;16"]))
    suffixes = ["png", "tif"] if mode == "I;16" else ["png", "jpg", "bmp", "tif"]
    shape = (case.whole(8, 12), case.whole(8, 12))
    with tempfile.TemporaryDirectory() as name:
        root, spoilt, n_files = Path(name), [], 0
        for label in ("cat", "dog"):
            for i in range(case.whole(2, 4)):
                path = root / label / f"{i}.{case.pick(suffixes)}"
                path.parent.mkdir(exist_ok=True)
                path.write_bytes(_written(mode, path.suffix[1:], shape, case.random))
                if i and case.chance(0.25):
                    spoilt.append((path, _spoil(case, path)))
                n_files += not path.is_dir()
        case.tell("spoilt", {str(path.relative_to(root)): way for path, way in spoilt})
        case.unsure.extend(way for _, way in spoilt)
        image_size = case.tell("image_size", case.pick([None, 9, (10, 9), np.int64(8)]))
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            told = [str(path) for path, _ in spoilt] + [path.name for path, _ in spoilt]
            try:
                with leaves_the_process_alone():
                    data = load_image_folder(root, image_size=image_size, on_error=on_error)
            except (ValueError, OSError, MemoryError) as exc:
                require(spoilt, f"refused a sound folder: {exc!r}")
                is_named = any(name in str(exc) for name in [*told, "path", "image_size", "class", "bit depth"])
                require(is_named, f"an error that names no file: {type(exc).__name__} at {place_of(exc)}: {exc}")
                return type(exc).__name__
        n_left_out = sum(any(name in str(warning.message) for name in told) for warning in caught)
        require(on_error == "skip" or len(data.images) + n_left_out >= n_files, "files were left out without a word")
        require(len(data.images) == len(data.target) == len(data.filenames), "arrays of unlike lengths")
        require(len(data.images) + n_left_out >= n_files, "files were left out without a warning")
        wanted = (
            np.uint16 if mode == "I;16" else np.uint8,
            (*np.broadcast_to(image_size, 2),) if image_size else shape,
        )
        if not spoilt:
            require((data.images.dtype, data.images.shape[1:3]) == wanted, "another dtype or size")
        if not spoilt and image_size is None and mode == "L":
            for image, file in zip(data.images, data.filenames, strict=True):
                if not file.endswith("jpg"):
                    require(np.array_equal(image, np.asarray(Image.open(root / file))), f"other pixels of {file}")
    return "result"


def _spoil(case, path):
    content = bytearray(path.read_bytes())
    way = case.pick(
        ["bit", "bit", "cut", "empty", "text", "eps", "gif", "folder", "dangling", "loop", "palette", "huge"]
    )
    if way == "bit":
        content[case.whole(0, len(content) - 1)] ^= 1 << case.whole(0, 7)
    elif way == "cut":
        del content[case.whole(1, len(content) - 1) :]
    elif way in ("empty", "text", "eps"):
        content[:] = {"empty": b"", "text": b"no image\n" * 9, "eps": _EPS}[way]
    elif way in ("gif", "palette"):
        image = Image.fromarray(np.arange(81, dtype=np.uint8).reshape(9, 9))
        buffer = io.BytesIO()
        (image if way == "gif" else image.convert("P")).save(buffer, "GIF" if way == "gif" else "PNG")
        content[:] = buffer.getvalue()
    elif way == "huge":  # a picture of absurd size in few bytes
        buffer = io.BytesIO()
        Image.new("1", (20000, 15000)).save(buffer, "PNG")
        content[:] = buffer.getvalue()
    path.unlink()
    if way == "folder":
        path.mkdir()
    elif way in ("dangling", "loop"):
        path.symlink_to("nothing" if way == "dangling" else path.name)
    else:
        path.write_bytes(content)
    return way


KINDS = {
    "resample": (resample, 10),
    "refit": (refit, 2),
    "persist": (persist, 2),
    "sample": (sample, 3),
    "damage": (damage, 4),
    "forge": (forge, 4),
    "quality": (quality, 2),
    "embed": (embed, 2),
    "folder": (folder, 3),
}  # with how often each is chosen
