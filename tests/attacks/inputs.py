"""Random images, labels, strategies and parameters, each known to be good, bad, or neither for sure."""

import numpy as np
import pandas as pd
import torch
from imblearn.combine import SMOTETomek
from imblearn.over_sampling import ADASYN, SMOTE, BorderlineSMOTE, RandomOverSampler
from imblearn.under_sampling import EditedNearestNeighbours, NearMiss, RandomUnderSampler, TomekLinks
from PIL import Image
from sklearn.preprocessing import FunctionTransformer

import gan_sampler
from gan_sampler import PixelSampler

INTEGERS = ["u1", "i1", *(order + kind + size for size in "248" for kind in "iu" for order in "<>")]
FLOATS = [order + "f" + size for size in "248" for order in "<>"]
GAN_SAMPLERS = ("DCGANOverSampler", "ConditionalDCGANOverSampler")
SAMPLERS = (*GAN_SAMPLERS, "AugmentationOverSampler", "PixelSampler")


class Case:
    """One random case: what was chosen, and what is to be expected of it.

    Parameters
    ----------
    seed : int
        Decides everything.
    samplers : sequence of str
        Samplers to choose from.
    """

    def __init__(self, seed, samplers=SAMPLERS):
        self.random = np.random.RandomState(seed % 2**32)
        self.samplers = samplers
        self.told = {}  # in order, for the description
        self.bad = []  # what must be refused
        self.unsure = []  # what may be refused

    def chance(self, probability):
        return bool(self.random.uniform() < probability)

    def pick(self, options):
        options = list(options)
        return options[self.random.randint(len(options))]

    def whole(self, low, high):
        """Return a whole number from `low` to `high`, both included."""
        return int(self.random.randint(low, high + 1))

    def tell(self, name, value):
        self.told[name] = value
        return value

    def describe(self):
        return "; ".join(f"{name}: {_short(value)}" for name, value in self.told.items())


def _short(value):
    text = value if isinstance(value, str) else repr(value)
    text = " ".join(text.split())
    return text if len(text) <= 400 else text[:397] + "..."


def flatten(X):
    """Return images as rows of floats, whatever they are stored as."""
    return np.nan_to_num(np.asarray(X).reshape(len(X), -1).astype(np.float64), posinf=0, neginf=0)


FLATTEN = FunctionTransformer(flatten)


class BrokenEmbedder(FunctionTransformer):
    """Fails from the second call of `transform` on, as one that runs out of memory."""

    def transform(self, X):
        self.n_calls_ = getattr(self, "n_calls_", 0) + 1
        if len(X) > 2:
            raise RuntimeError("out of memory")
        return flatten(X)


# Images


def pixels(case, dtype, shape):
    """Return an array of random values of a kind that `dtype` can have."""
    dtype, random = np.dtype(dtype), case.random
    if dtype.kind == "b":
        values = {"noise": lambda: random.uniform(size=shape) > 0.5, "constant": lambda: np.ones(shape)}
    elif dtype.kind in "iu":
        least, most = np.iinfo(dtype).min, np.iinfo(dtype).max
        bits = random.randint(0, 256, (*shape, dtype.itemsize), dtype=np.uint8)
        values = {
            "bits": lambda: bits.view(dtype)[..., 0],
            "extremes": lambda: np.where(random.uniform(size=shape) < 0.5, least, most).astype(dtype),
            "0..99": lambda: random.randint(0, 100, shape),
            "near the largest": lambda: most - random.randint(0, 50, shape).astype(dtype),
            "near the smallest": lambda: least + random.randint(0, 50, shape).astype(dtype),
            "constant": lambda: np.full(shape, 7, dtype),
        }
    else:
        info = np.finfo(dtype)
        values = {
            "unit": lambda: random.uniform(size=shape),
            "signed": lambda: random.normal(size=shape) * 100,
            "zeros": lambda: random.choice([0.0, -0.0, 1.0], shape),
            "far off": lambda: 0.5 / info.eps + random.randint(0, 50, shape),
            "extremes": lambda: random.choice([float(info.max), -float(info.max), 0.0], shape),
            "smallest": lambda: random.choice([float(info.smallest_subnormal), 0.0], shape),
            "constant": lambda: np.full(shape, 0.3),
        }
    name = case.tell("values", case.pick(values))
    made = np.asarray(values[name]()).astype(dtype)
    if dtype.kind == "f" and name in ("extremes", "smallest") and dtype.itemsize == 8:
        case.unsure.append("range that float64 may not hold")
    return made


def images(case, n, *, may_be_bad=True):
    """Return random images.

    Returns
    -------
    X : object
        Some container of images.
    given : ndarray
        What is in it, as it must come back.
    parameters : dict
        How samplers are told to read it.
    limits : tuple
        Smallest and largest value that a new image may have.
    """
    layout = case.tell("layout", case.pick(["HW", "HWC", "CHW", "rows", "colour rows", "row"]))
    height, width, channels = case.whole(8, 13), case.whole(8, 13), case.whole(1, 4)
    shape, parameters = {
        "HW": ((height, width), {}),
        "HWC": ((height, width, channels), {}),
        "CHW": ((channels, height, width), {}),
        "rows": ((height * width,), {"image_shape": (height, width)}),
        "colour rows": ((height * width * channels,), {"image_shape": [height, width, channels]}),
        "row": ((height * width,), {"image_shape": "row"}),
    }[layout]
    if layout in ("HWC", "CHW"):
        axis = {"HWC": "channels_last", "CHW": "channels_first"}[layout]
        parameters["data_format"] = case.pick(["auto", axis])
    if layout == "colour rows" and case.chance(0.3):
        parameters["data_format"] = "channels_first"
    if layout in ("rows", "colour rows") and case.chance(0.3):
        parameters["image_shape"] = tuple(map(np.int64, parameters["image_shape"]))
    dtype = case.tell("dtype", case.pick(["?", "u1", "u1", *INTEGERS, *FLOATS]))
    given = pixels(case, dtype, (n, *shape))
    if layout == "HWC" and channels == 3 and case.chance(0.3):
        given = np.repeat(given[..., :1], 3, axis=-1)
    if may_be_bad and case.chance(0.08):
        given, parameters = _spoilt(case, given, parameters)
    parameters["value_range"], limits = _value_range(case, given, may_be_bad)
    X = _contained(case, given, layout, may_be_bad)
    case.tell("shape", given.shape)
    return X, given, parameters, limits


def _spoilt(case, given, parameters):
    """Return images that must be refused."""
    n, is_float = len(given), given.dtype.kind == "f"
    ways = {
        "0-d": lambda: given.ravel()[0],
        "1-d": lambda: given.ravel(),
        "7 pixels": lambda: given.reshape(n, -1)[:, :49].reshape(n, 7, 7),
        "5 axes": lambda: given[..., None, None, None],
        "complex": lambda: np.asarray(given, dtype=complex),
        "dates": lambda: np.zeros(given.shape, dtype="M8[s]"),
        "spans": lambda: np.zeros(given.shape, dtype="m8[s]"),
        "text": lambda: np.full(given.shape, "x"),
        "objects": lambda: np.full(given.shape, None),
        "longdouble": lambda: given.astype(np.longdouble),
        "records": lambda: np.zeros(given.shape, dtype=[("a", "u1")]),
        "no images": lambda: given[:0],
    }
    if is_float:
        ways |= {"NaN": lambda: _with(given, np.nan), "infinity": lambda: _with(given, -np.inf)}
    way = case.tell("X is", case.pick(ways))
    case.bad.append(f"X: {way}")
    return ways[way](), parameters


def _with(array, value):
    array = array.copy()
    array.ravel()[array.size // 2] = value
    return array


def _value_range(case, given, may_be_bad):
    if case.bad or given.dtype.kind not in "biuf" or not case.chance(0.35):
        return None, _found(given)
    number = float if given.dtype.kind == "f" else int
    low, high = number(given.min()), number(given.max())
    step = max(1, abs(high - low) // 2) if number is int else max(abs(high - low) / 2, 1.0)
    good = {"as found": (low, high), "wider": (low - step, high + step), "a list": [low - step, high]}
    bad = {
        "reversed": (high + step, low - step),
        "NaN": (float("nan"), 1.0),
        "infinite": (-float("inf"), float("inf")),
        "three": (low, high, high),
        "text": ("0", "1"),
        "too narrow": (low - step, low - step / 2),
        "None inside": (None, high),
    }
    if may_be_bad and case.chance(0.2):
        case.bad.append("value_range")
        return case.tell("value_range", bad[case.pick(bad)]), None
    way = case.pick(good)
    pair = good[way]
    if number is float and case.chance(0.3):
        pair = tuple(map(np.float64, pair))
    if not low - step < low or not high < high + step or not np.isfinite(float(high) - float(low) + 2.0 * step):
        case.unsure.append("value_range beyond floats")
    if float(low) == float(high) or step > 2**60:  # "as found" of constant images; distances that floats do not hold
        case.unsure.append("value_range is one value")
    return case.tell("value_range", pair), tuple(pair)


def _found(given):
    if given.dtype == np.uint8:
        return 0, 255
    if given.dtype.kind not in "biuf" or not given.size:
        return None
    return given.min(), given.max()


def _contained(case, given, layout, may_be_bad):
    """Return the images in some container, and in some order in memory."""
    if case.bad:
        return case.pick([given, list(given) if given.ndim and len(given) else given])
    is_native = given.dtype.isnative
    ways = {
        "array": lambda: given,
        "Fortran order": lambda: np.asfortranarray(given),
        "every second of twice as many": lambda: np.repeat(given, 2, axis=0)[::2],
        "backwards in memory": lambda: given[..., ::-1].copy()[..., ::-1],
        "read-only": lambda: _read_only(given),
        "list of arrays": lambda: list(given),
    }
    if is_native:
        ways["tensor"] = lambda: torch.from_numpy(given)
        if layout in ("rows", "colour rows", "row"):
            ways["data frame"] = lambda: pd.DataFrame(given)
            ways["named data frame"] = lambda: pd.DataFrame(given, columns=[f"p{i}" for i in range(given.shape[1])])
    if given.dtype == np.uint8 and layout == "HW":
        ways["pictures"] = lambda: [Image.fromarray(image) for image in given]
    if given.dtype.str in ("<i8", "<f8", "|b1"):
        ways["nested lists"] = given.tolist
    bad = {
        "masked array": lambda: np.ma.array(given, mask=np.arange(given.size).reshape(given.shape) == 1),
        "generator": lambda: iter(given),
        "dict": lambda: dict(enumerate(given)),
        "None": lambda: None,
        "path": lambda: "images.npy",
        "list of unlike shapes": lambda: [*given[:-1], given[-1][..., :-1]],
    }
    if given.dtype.kind == "f" and is_native:
        bad["tensor with gradients"] = lambda: torch.from_numpy(given).requires_grad_()
    if may_be_bad and case.chance(0.06):
        way = case.tell("container", case.pick(bad))
        case.bad.append(f"X: {way}")
        return bad[way]()
    way = case.tell("container", case.pick(ways))
    return ways[way]()


def _read_only(given):
    given = given.copy()
    given.setflags(write=False)
    return given


# Labels


class Labels:
    """Labels in some form, and how to read them.

    Attributes
    ----------
    y : object
        What is passed.
    keys : list
        What each class is called in parameters and results.
    counts : list of int
        Number of images of each class.
    """

    def __init__(self, y, keys, counts, form):
        self.y, self.keys, self.counts, self.form = y, keys, counts, form

    def codes(self, y):
        """Return the place in `keys` of each label."""
        y = np.asarray(y)
        if y.ndim == 2:
            return y.argmax(axis=1)
        return np.array([self.keys.index(label) for label in y.tolist()], dtype=int)


def labels(case, *, may_be_bad=True):
    """Return random labels of two or three classes."""
    n_classes = case.whole(2, 3)
    counts = [int(n) for n in case.random.choice(np.arange(2, 9), n_classes, replace=False)]
    if case.chance(0.04):
        counts[counts.index(min(counts))] = 1
        case.unsure.append("a class of one image")
    codes = case.random.permutation(np.repeat(np.arange(n_classes), counts))
    n = len(codes)
    names = case.pick([["a", "b", "c"], ["A b", "ü/../x", "-"], ["0", "1", "10"]])[:n_classes]
    numbers = [int(i) for i in case.random.choice(np.arange(0, 100), n_classes, replace=False)]
    integer = np.dtype(case.pick(INTEGERS))
    forms = {
        "strings": (np.array(names)[codes], names),
        "objects": (np.array(names, dtype=object)[codes], names),
        "list of str": ([names[code] for code in codes], names),
        "list of int": ([numbers[code] for code in codes], numbers),
        f"{integer.str}": (np.array(numbers, dtype=integer)[codes], numbers),
        "floats": (np.array(numbers, dtype=case.pick(FLOATS))[codes], [float(number) for number in numbers]),
        "series": (pd.Series(np.array(numbers)[codes]), numbers),
        "one-hot": (np.eye(n_classes, dtype=case.pick(["u1", "i8", "f4", "?"]))[codes], list(range(n_classes))),
        "one-hot list": (np.eye(n_classes, dtype=int)[codes].tolist(), list(range(n_classes))),
        "one-hot frame": (pd.DataFrame(np.eye(n_classes, dtype=int)[codes], columns=names), list(range(n_classes))),
        "tensor": (torch.tensor(np.array(numbers)[codes]), numbers),
    }
    if n_classes == 2:
        forms["booleans"] = (codes == 1, [False, True])
    form = case.tell("y", case.pick(forms))
    y, keys = forms[form]
    if may_be_bad and case.chance(0.08):
        y = _spoilt_labels(case, codes, names, n)
    case.tell("counts", dict(zip(keys, counts, strict=True)))
    return Labels(y, keys, counts, form)


def _spoilt_labels(case, codes, names, n):
    texts = [names[code] for code in codes]
    bad = {
        "None": None,
        "one value": 3,
        "a string": "aab",
        "None inside": [None, *texts[1:]],
        "NaN inside": np.where(np.arange(n) == 1, np.nan, codes),
        "mixed": [1, *texts[1:]],
        "too few": texts[:-1],
        "too many": [*texts, texts[0]],
        "fractions": codes + 0.5,
        "complex": codes + 1j,
        "dates": codes.astype("M8[s]"),
        "objects of int": codes.astype(object),
        "images": np.zeros((n, 8, 8)),
        "unlike shapes": [[1], *texts[1:]],
        "one class": ["a"] * n,
        "two columns": np.stack([codes, codes + 1], axis=1),
        "nothing": [],
        "things": [object() for _ in texts],
    }
    way = case.tell("y is", case.pick(bad))
    if way == "fractions":
        case.unsure.append("y: fractions")
    case.bad.append(f"y: {way}")
    return bad[way]


# Strategies


def strategy(case, found, *, may_be_bad=True):
    """Return a `sampling_strategy` for an over-sampler, and how many images each class has in the end."""
    counts, keys, most = found.counts, found.keys, max(found.counts)
    if may_be_bad and case.chance(0.1):
        return _spoilt_strategy(case, keys, counts), None
    rare = counts.index(min(counts))
    ends = {
        "auto": [most] * len(counts),
        "not majority": [most] * len(counts),
        "all": [most] * len(counts),
        "minority": [most if i == rare else n for i, n in enumerate(counts)],
        "not minority": [n if i == rare else most for i, n in enumerate(counts)],
    }
    forms = [*ends, "dict", "function", *(["ratio"] if len(counts) == 2 else [])]
    form = case.pick(forms)
    if form in ends:
        return case.tell("sampling_strategy", form), ends[form]
    if form == "ratio":
        ratio = min(1.0, (counts[rare] + case.whole(1, most - counts[rare])) / most + 1e-9)
        end = [counts[rare] + int(most * ratio - counts[rare]) if i == rare else n for i, n in enumerate(counts)]
        if end[rare] <= counts[rare]:
            case.unsure.append("a ratio that asks for nothing")
        return case.tell("sampling_strategy", case.pick([float, np.float64])(ratio)), end
    number = case.pick([int, np.int64, np.uint16])
    chosen = [i for i in range(len(counts)) if case.chance(0.7)]
    end = [n + (case.whole(0, 6) if i in chosen else 0) for i, n in enumerate(counts)]
    wanted = {keys[i]: number(end[i]) for i in chosen}
    case.tell("sampling_strategy", f"{form} {wanted}")
    if not chosen:
        case.unsure.append("an empty strategy")
    return (wanted if form == "dict" else lambda y: wanted), end


def _spoilt_strategy(case, keys, counts):
    key = keys[0]
    bad = [
        {"no such class": 50},
        {key: counts[0] - 1},
        *({key: n} for n in (None, float("nan"), float("inf"), "30", 30.5, -1, True, 10**12, 10**30, [])),
        "no such word",
        None,
        0.0,
        -0.5,
        2.0,
        float("nan"),
        float("inf"),
        [key],
        3,
        object(),
        lambda y: None,
        lambda y: "auto",
        lambda y: {key: None},
    ]
    chosen = case.pick(bad)
    case.bad.append("sampling_strategy")
    return case.tell("sampling_strategy", chosen)


# Samplers

_SHARED = {
    "repeated_share": [0.5, 0.5, 0, 0.25, 0.75, 0.99],
    "synthetic_classes": ["resampled", "resampled", "all"],
    "synthetic_ratio": [0.25, 0.7, 1.3],
    "herding": [False] * 8 + [np.bool_(False), FLATTEN, BrokenEmbedder()],
    "quality": [False] * 8 + [np.bool_(False), FLATTEN, BrokenEmbedder()],
    "on_poor_quality": ["warn", "warn", "raise", "repeat"],
    "device": ["auto", "cpu", torch.device("cpu")],
    "verbose": [0, 0, False, np.bool_(False), 1],
}
_GAN = {
    **_SHARED,
    "augmented_share": [0.5, 0.5, 0, 0.25, 1],
    "latent_dim": [1, 5, 8],
    "base_channels": [1, 2, 3],
    "channels": ["pyramid", "flat"],
    "base_size": [1, 2, 4],
    "generator_norm": ["batch", "spectral", None],
    "discriminator_norm": ["batch", "spectral", None],
    "dropout": [0.0, 0.0, 0.4],
    "n_steps": [3, 4],
    "max_time": [None, None, 1e-9, 100.0],
    "n_iter_no_change": [None, 1],
    "batch_size": [2, 3, 16],
    "learning_rate": [1e-3, 1e-4],
    "beta_1": [0.0, 0.5, 0.9],
    "ema_decay": [0.0, 0.9, 0.999],
    "precision": ["auto", "auto", "float32", "bfloat16"],
    "augmentation": ["auto", "mild", None],
}
_PARAMETERS = {
    "DCGANOverSampler": {
        **_GAN,
        "n_jobs": [None, 1],  # new processes take seconds; chaos.py attacks those
        "device": ["cpu", ["cpu", "cpu"], (torch.device("cpu"),)],
    },
    "ConditionalDCGANOverSampler": _GAN,
    "AugmentationOverSampler": {
        **_SHARED,
        "rotation": [0, 0.0, 30.0, 180],
        "translation": [0.0, 0.05, 0.2],
        "scaling": [0.0, 0.05, 0.5],
        "brightness": [0, 0.1, 1.0],
        "contrast": [0, 0.1, 1.0],
        "horizontal_flip": [False, True, np.bool_(True)],
        "vertical_flip": [False, True],
    },
}
_WRAPPED = [
    lambda **options: RandomOverSampler(random_state=0, **options),
    lambda **options: RandomOverSampler(random_state=0, shrinkage=0.5, **options),
    lambda **options: SMOTE(k_neighbors=1, random_state=0, **options),
    lambda **options: BorderlineSMOTE(k_neighbors=1, m_neighbors=2, random_state=0, **options),
    lambda **options: ADASYN(n_neighbors=1, random_state=0, **options),
]
_CLEANERS = [
    RandomUnderSampler(random_state=0),
    TomekLinks(),
    EditedNearestNeighbours(n_neighbors=1),
    NearMiss(n_neighbors=1),
    SMOTETomek(smote=SMOTE(k_neighbors=1, random_state=0), random_state=0),
]
WRONG = [
    -1,  # which starts processes where it is n_jobs
    0,
    1.5,
    -0.5,
    float("nan"),
    "no such word",
    "",
    None,
    True,
    [],
    (),
    {},
    1j,
    object(),
    int,
    torch.zeros(()),
    b"x",
]


def sampler(case, found, parameters, *, may_be_bad=True):
    """Return an unfitted sampler with random parameters, and how many images each class has in the end, if known."""
    name = case.tell("sampler", case.pick(case.samplers))
    wanted, end = strategy(case, found, may_be_bad=may_be_bad)
    if name == "PixelSampler":
        return _pixel_sampler(case, wanted, end, parameters, may_be_bad)
    choices = _PARAMETERS[name]
    drawn = {key: case.pick(options) for key, options in choices.items() if case.chance(0.5)}
    for key in ("n_steps", "base_channels", "latent_dim"):  # small, whatever the defaults are
        if key in choices:
            drawn.setdefault(key, choices[key][-1])
    drawn = {key: _as_numpy(case, value) for key, value in drawn.items()}
    drawn["random_state"] = case.pick([0, 7, np.int64(3), 2**32 - 1])
    if may_be_bad and case.chance(0.12):
        key = case.pick([*choices, "random_state", "image_shape", "data_format"])
        drawn[key] = case.pick(WRONG[1:])
        case.unsure.append(f"{key}={drawn[key]!r}")
    made = getattr(gan_sampler, name)(**{"sampling_strategy": wanted, **parameters, **drawn})
    case.tell("parameters", {**{key: value for key, value in parameters.items() if value is not None}, **drawn})
    if found.counts and drawn.get("synthetic_classes") == "all" and end is not None:
        ratio = drawn.get("synthetic_ratio", 0.25)
        if isinstance(ratio, float | np.floating):
            end = [n + max(1, round(float(ratio) * max(found.counts))) for n in end]
    return made, end


def _as_numpy(case, value):
    """Return a number as one of NumPy's, as a grid over an array gives it."""
    if type(value) not in (int, float) or not case.chance(0.3):
        return value
    kinds = [np.int64, np.int32, np.uint8] if type(value) is int else [np.float64, np.float32]
    number = case.pick(kinds)(value)
    if float(number) != value:  # as float32 of 0.2, which is beyond a limit of 0.2
        case.unsure.append(f"a number of {type(number).__name__}")
    return number


def _pixel_sampler(case, wanted, end, parameters, may_be_bad):
    if may_be_bad and case.chance(0.05):
        inner = case.pick([None, SMOTE, object(), "SMOTE", 3])
        case.bad.append("sampler")
    elif case.chance(0.7):
        make = case.pick(_WRAPPED)
        inner = make(sampling_strategy=wanted)
        if not isinstance(inner, RandomOverSampler) and type(inner) is not SMOTE:
            case.unsure.append("a sampler that may find nothing to do")
        if isinstance(inner, RandomOverSampler) and inner.shrinkage is not None:
            case.unsure.append("a bootstrap that may overflow")
    else:
        inner, end = case.pick(_CLEANERS), None
        case.bad = [reason for reason in case.bad if reason != "sampling_strategy"]
        case.told.pop("sampling_strategy", None)
        case.unsure.append("a sampler that may find nothing to do")
    case.tell("parameters", {"sampler": inner, **parameters})
    return PixelSampler(inner, **parameters), end
