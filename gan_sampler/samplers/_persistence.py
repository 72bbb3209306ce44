"""Saving and loading of fitted samplers; conversion of parameters and fitted attributes to JSON and back."""

import dataclasses
import hashlib
import itertools
import math
import warnings
from importlib.metadata import version
from numbers import Integral
from pathlib import PurePath

import numpy as np
import torch

from ..images import MAX_CHANNELS, ImageFormat
from ..networks import ConditionalGenerator, Discriminator, Generator, ProjectionDiscriminator
from ..runtime import isolated, resolve_device, stacklevel_of_user
from ..training import (
    LOSSES,
    Loss,
    check_tensors,
    constant_names,
    finish,
    hash_of_tensors,
    name_of,
    read_file,
    write_file,
)

_TYPE, _VALUE = "type", "value"
_SCALARS = {np.dtype(kind).name: np.dtype(kind).type for kind in "?bhilBHILefd"} | {"str": np.str_}
_DTYPE_KINDS = "biuf"  # of images
_KEYS_OF_MT19937 = 624
_LARGEST_SIDE = 2**31
_OWN_NETWORKS = {
    name_of(network): network for network in (Generator, Discriminator, ConditionalGenerator, ProjectionDiscriminator)
}
# Parameters that may be functions, with what a file holds in their place.
_SAVED_INSTEAD_OF_FUNCTIONS = {
    "loss": "non_saturating",
    "discriminator": None,
    "backbone": "efficientnet_lite0",
    "augmentation": "auto",
}


def save_sampler(sampler, path):
    """Write a fitted sampler to a file; see `GANOverSampler.save`."""
    sampler._check_has_generators()
    sampler._validate_params()
    states = [generator.state_dict() for generator in sampler.generators_.values()]
    message = "Parameters of the networks must be those of the fit, or the file could not be read; set them back"
    for state in states:
        check_tensors(state, _without_memory(sampler).state_dict(), message)
    parameters, networks = _storable(sampler)
    values = {
        "sampler": type(sampler).__name__,
        "versions": {name: version(name) for name in ("gan-sampler", "torch")},
        "networks": networks,
        "parameters": {name: to_json(value, name) for name, value in parameters.items()},
        "image_format": to_json(dataclasses.asdict(sampler.image_format_), "image_format_"),
        "labels": to_json(list(sampler.generators_), "y", keep_types=True),
        "history": to_json(list(sampler.history_.values()), "history_"),
        "sampling_strategy": to_json(dict(sampler.sampling_strategy_), "sampling_strategy_", keep_types=True),
    }
    tensors = {f"{i}.{name}": tensor for i, state in enumerate(states) for name, tensor in state.items()}
    write_file(path, tensors, values)


def _storable(sampler):
    """Return the parameters of a sampler without what a file cannot hold, with a warning, and names of its networks."""
    parameters = sampler.get_params(deep=False) | {"callback": None}
    for name in ("herding", "quality"):
        if not isinstance(parameters[name], bool | np.bool_):
            parameters[name] = True
            warnings.warn(
                f"{name} is a transformer, which the file cannot hold; {name}=True is saved instead. A fit of the "
                "loaded sampler uses EfficientNetLite0Embedder, unless you set the parameter again.",
                UserWarning,
                stacklevel=stacklevel_of_user(),
            )
    if isinstance(parameters["loss"], Loss) and parameters["loss"] == LOSSES.get(parameters["loss"].name):
        parameters["loss"] = parameters["loss"].name
    networks = {}
    for name in ("generator", "discriminator"):
        factory = parameters.get(name)
        if factory is None:
            continue
        if name_of(factory) in _OWN_NETWORKS or name == "generator":  # whose weights the file holds
            networks[name], parameters[name] = name_of(factory), None
    for name, default in _SAVED_INSTEAD_OF_FUNCTIONS.items():
        value = parameters.get(name)
        if value is None or isinstance(value, str):
            continue
        parameters = {key: kept for key, kept in parameters.items() if not key.startswith(f"{name}__")}
        parameters[name] = default
        warnings.warn(
            f"{name} is the function {_name_of(value)!r}, which the file cannot hold; {name}={default!r} is saved "
            f"instead. Pass {name} to load, or set the parameter again, before a fit of the loaded sampler.",
            UserWarning,
            stacklevel=stacklevel_of_user(),
        )
    return parameters, networks


def load_sampler(cls, path, device, parameters):
    """Read a fitted sampler from a file; see `GANOverSampler.load`."""
    device = resolve_device(device)
    tensors, values = read_file(path)
    if values.get("sampler") != cls.__name__:
        found = f"a {values['sampler']}" if "sampler" in values else "a checkpoint of an unfinished training"
        raise ValueError(f"{path} must hold a {cls.__name__} written by save; got {found}.")
    parameters = _parameters_to_load(cls, path, parameters, values)
    try:
        sampler = _restored(cls, values, parameters)
        generators = _generators(sampler, tensors, len(sampler.history_))
    except (KeyError, OverflowError, RuntimeError, TypeError, ValueError) as exc:
        raise ValueError(
            f"{path} holds no {cls.__name__} that this version of gan_sampler can read: {exc}. Write it anew with "
            "save, or read it with the version that wrote it."
        ) from exc
    sampler.device_ = device
    sampler.generators_ = {
        label: generator.to(device, memory_format=torch.channels_last)
        for label, generator in zip(sampler.history_, generators, strict=True)
    }
    return sampler


def _parameters_to_load(cls, path, given, values):
    """Return the parameters that were given to `load`, and the networks of this package that the file names."""
    known = cls._get_param_names()
    unknown = [name for name in given if name not in known and not cls._is_factory_parameter(name)]
    if unknown:
        raise TypeError(f"{cls.__name__} has no parameter {', '.join(unknown)}, which load got.")
    networks = values.get("networks")
    networks = networks if isinstance(networks, dict) else {}
    own = networks.get("generator")
    if own is not None and own not in _OWN_NETWORKS and given.get("generator") is None:
        raise ValueError(
            f"{path} holds the weights of generators of your own, made by {own}, but not their code. Pass it: "
            f"{cls.__name__}.load(path, generator=...)."
        )
    named = {name: _OWN_NETWORKS[made_by] for name, made_by in networks.items() if made_by in _OWN_NETWORKS}
    return {name: factory for name, factory in named.items() if name in known} | given


def _restored(cls, values, given):
    """Return a sampler with parameters, those `given` first, and fitted attributes, but without networks."""
    parameters = _member(values, "parameters", dict)
    own = {name for name in parameters if not cls._is_factory_parameter(name)}
    unlike = own ^ set(cls._get_param_names())
    if unlike:
        raise ValueError(f"its parameters must be those of {cls.__name__}; got a difference in {sorted(unlike)}")
    sampler = cls(**{name: from_json(value) for name, value in parameters.items()} | given)
    sampler._validate_params()
    sampler.image_format_ = _image_format(from_json(values["image_format"]))
    sampler.image_shape_ = sampler.image_format_.image_shape
    sampler.n_features_in_ = sampler.image_format_.n_features
    sampler.sampling_strategy_ = _sampling_strategy(from_json(values["sampling_strategy"]))
    labels, histories = (from_json(_member(values, name, list)) for name in ("labels", "history"))
    if not all(isinstance(history, list) and all(isinstance(r, dict) for r in history) for history in histories):
        raise ValueError("history must be a list of dicts for each class")
    sampler.history_ = dict(zip(labels, histories, strict=False))
    if not len(sampler.history_) == len(labels) == len(histories):
        raise ValueError(f"labels must differ, and have a history each; got {labels} and {len(histories)} histories")
    return sampler


def _member(values, name, kind):
    if not isinstance(values.get(name), kind):
        raise ValueError(f"{name} must be a {kind.__name__}; got {type(values.get(name)).__name__}")
    return values[name]


def _image_format(values):
    names = {field.name for field in dataclasses.fields(ImageFormat)}
    if not isinstance(values, dict) or values.keys() != names:
        raise ValueError(f"image_format must be a dict of {', '.join(sorted(names))}; got {values!r}")
    image_format = ImageFormat(**values)
    sides = image_format.height, image_format.width
    is_valid = (
        all(type(side) is int and 0 < side < _LARGEST_SIDE for side in sides)
        and image_format.channels in range(1, MAX_CHANNELS + 1)
        and image_format.layout in (("HW", "HWC", "CHW") if image_format.channels == 1 else ("HWC", "CHW"))
        and isinstance(image_format.dtype, np.dtype)
        and all(type(flag) is bool for flag in (image_format.ravelled, image_format.grey_as_rgb))
        and _is_range(image_format.value_range)
    )
    if not is_valid:
        raise ValueError(f"image_format must be one that images can have; got {image_format}")
    return image_format


def _is_range(value):
    is_pair = isinstance(value, tuple) and len(value) == 2 and all(type(number) in (int, float) for number in value)
    return is_pair and -math.inf < value[0] <= value[1] < math.inf


def _sampling_strategy(values):
    if not isinstance(values, dict) or not all(isinstance(n, Integral) and n >= 0 for n in values.values()):
        raise ValueError(f"sampling_strategy must be a dict of integers of at least 0; got {values!r}")
    return values


def _generators(sampler, tensors, n_classes):
    """Return the generators of the classes from the tensors of a file.

    The networks are first made on the meta device, so that a file whose parameters do not match its tensors is refused
    before memory is allocated; then the tensors of the file are assigned to them.
    """
    states = {str(i): {} for i in range(n_classes)}
    for name, tensor in tensors.items():
        index, _, rest = name.partition(".")
        if index not in states:
            raise ValueError(f"tensors must belong to one of {n_classes} classes; got {name}")
        states[index][rest] = tensor
    generators = []
    for state in states.values():
        generator = _without_memory(sampler)
        check_tensors(state, generator.state_dict(), "tensors must be those that the parameters ask for")
        if not all(tensor.isfinite().all() for tensor in state.values()):
            raise ValueError("weights must be finite")
        generator.load_state_dict(state, assign=True)
        if any(tensor.is_meta for tensor in itertools.chain(generator.parameters(), generator.buffers())):
            raise TypeError(f"{type(generator).__name__} must keep all its tensors in its state_dict")
        generators.append(generator)
    return generators


def _without_memory(sampler):
    """Return a generator of a sampler on the meta device, whose tensors have no values."""
    with isolated(torch.device("cpu"), 0), torch.device("meta"):
        network = sampler._make_network("generator", sampler.image_format_.tensor_shape, n_classes=1)
        return sampler._generator_of(finish(network), 0)


def describe_network(network):
    """Return a description of a network, for checkpoints: its class, and a hash of its layers.

    The hash covers the values of tensors that training leaves as they are, since a checkpoint does not hold them.
    """
    state, constant = network.state_dict(), sorted(constant_names(network))
    shapes = [(name, tuple(tensor.shape)) for name, tensor in state.items()]
    frozen = hash_of_tensors(state[name] for name in constant)
    digest = hashlib.sha256(f"{network} {shapes} {constant} {frozen}".encode()).hexdigest()[:16]
    return f"{name_of(network)} {digest}"


def _name_of(value):
    """Return the name of a loss, a function or a class, or of a pair of functions."""
    if isinstance(value, Loss):
        return value.name
    return " and ".join(map(name_of, value)) if isinstance(value, tuple) else name_of(value)


def to_json(value, name, *, keep_types=False):
    """Convert `value` to JSON, from which `from_json` restores an equal value; a path becomes a string.

    Parameters
    ----------
    value : object
        None, a bool, number, str, path, device, RandomState, NumPy scalar or dtype, or a list, tuple or dict of these.
    name : str
        Name of the value, for the message.
    keep_types : bool, default=False
        Whether NumPy scalars are restored as such, as labels have to be. Otherwise they become Python numbers of the
        same value: ``np.int64(16)`` becomes 16, and ``np.float32(0.1)`` becomes 0.10000000149011612.

    Raises
    ------
    ValueError
        When it is of another type.
    """
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, list | tuple):
        elements = [to_json(element, name, keep_types=keep_types) for element in value]
        return elements if isinstance(value, list) else _typed("tuple", elements)
    if isinstance(value, dict):
        pairs = [[to_json(element, name, keep_types=keep_types) for element in pair] for pair in value.items()]
        is_object = all(type(key) is str for key, _ in pairs)  # which is a JSON object
        return _typed("dict", dict(pairs) if is_object else pairs)
    if isinstance(value, np.dtype) and value.kind in _DTYPE_KINDS:
        return _typed("dtype", value.str)
    if isinstance(value, np.generic) and _scalar_name(value) in _SCALARS:
        return _typed(_scalar_name(value), value.item()) if keep_types else value.item()
    if isinstance(value, np.random.RandomState) and value.get_state()[0] == "MT19937":
        _, keys, *position = value.get_state()
        return _typed("RandomState", [keys.tolist(), *position])
    if isinstance(value, torch.device):
        return _typed("device", str(value))
    if isinstance(value, PurePath):
        return str(value)
    raise ValueError(
        f"{name} must be made of numbers, strings, lists, tuples and dicts to be written to a file; got {value!r}."
    )


def from_json(value):
    """Return the value from which `to_json` made `value`.

    Raises
    ------
    ValueError, TypeError
        When it was not made by `to_json`.
    """
    if isinstance(value, list):
        return [from_json(element) for element in value]
    if not isinstance(value, dict):
        return value
    if value.keys() != {_TYPE, _VALUE} or value[_TYPE] not in _READERS:
        raise ValueError(f"values must be of type {', '.join(_READERS)}; got {str(value)[:100]}")
    return _READERS[value[_TYPE]](value[_VALUE])


def _typed(kind, value):
    return {_TYPE: kind, _VALUE: value}


def _scalar_name(value):
    return "str" if isinstance(value, np.str_) else value.dtype.name


def _read_dict(value):
    if isinstance(value, dict):
        return {key: from_json(element) for key, element in value.items()}
    return dict(from_json(value))


def _read_dtype(value):
    dtype = np.dtype(value) if isinstance(value, str) and len(value) < len("<f16x") else None
    if dtype is None or dtype.kind not in _DTYPE_KINDS:
        raise ValueError(f"a dtype must be one of numbers; got {value!r}")
    return dtype


def _read_random_state(value):
    keys, position, *gauss = value
    # NumPy does not check the position, and would read out of bounds.
    if len(keys) != _KEYS_OF_MT19937 or type(position) is not int or not 0 <= position <= _KEYS_OF_MT19937:
        raise ValueError("a RandomState must have 624 keys and a position among them")
    random_state = np.random.RandomState()
    random_state.set_state(("MT19937", np.array(keys, dtype=np.uint32), position, *gauss))
    return random_state


def _scalar_reader(kind):
    def read(value):
        if type(value) not in (bool, int, float, str):
            raise ValueError(f"a scalar must be a number or a string; got {str(value)[:100]}")
        return kind(value)

    return read


_READERS = {
    "tuple": lambda value: tuple(from_json(value)),
    "dict": _read_dict,
    "dtype": _read_dtype,
    "RandomState": _read_random_state,
    "device": torch.device,
} | {name: _scalar_reader(kind) for name, kind in _SCALARS.items()}
