"""Parameters that are factories of networks and losses, with parameters of their own as skorch has them."""

import inspect
from numbers import Integral

import torch
from torch import nn

from ..training import name_of

_POSITIONAL = inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD
_NAMED = inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY
_N_TRIED = 2  # images in the trial of a pair of networks


class FactoryParametersMixin:
    """Adds parameters of parameters: ``generator__latent_dim`` is passed to the factory `generator` as ``latent_dim``.

    `get_params`, `set_params` and `clone` treat them as any others, so that they can be searched in a grid.
    """

    _factory_names = ()  # parameters that are factories

    @classmethod
    def _is_factory_parameter(cls, name):
        factory, _, parameter = name.partition("__")
        return factory in cls._factory_names and parameter.isidentifier()

    def _set_factory_parameters(self, parameters):
        """Store the parameters of factories that were passed to `__init__`."""
        unknown = [name for name in parameters if not self._is_factory_parameter(name)]
        if unknown:
            prefixes = ", ".join(f"{name}__" for name in self._factory_names)
            raise TypeError(
                f"{type(self).__name__} has no parameter {', '.join(unknown)}. Parameters of networks and losses begin "
                f"with {prefixes}."
            )
        vars(self).update(parameters)

    def get_params(self, deep=True):
        """Return the parameters, those of factories included.

        Parameters
        ----------
        deep : bool, default=True
            Whether to include the parameters of estimators among the parameters.

        Returns
        -------
        params : dict
        """
        of_factories = {name: value for name, value in vars(self).items() if self._is_factory_parameter(name)}
        return super().get_params(deep) | of_factories

    def set_params(self, **params):
        """Set parameters, those of factories included.

        Parameters
        ----------
        **params : dict
            Parameters by name.

        Returns
        -------
        self : object
        """
        of_factories = {name: value for name, value in params.items() if self._is_factory_parameter(name)}
        super().set_params(**{name: value for name, value in params.items() if name not in of_factories})
        vars(self).update(of_factories)
        return self

    def _parameters_of(self, name):
        """Return the parameters of one factory, without their prefix."""
        prefix = f"{name}__"
        found = {key: value for key, value in vars(self).items() if self._is_factory_parameter(key)}
        return {key.removeprefix(prefix): value for key, value in found.items() if key.startswith(prefix)}


def check_factory(name, factory, parameters, given=()):
    """Raise an error unless a factory can be called.

    Parameters
    ----------
    name : str
        Name of the parameter that holds the factory, for messages.
    factory : callable
        A class or function.
    parameters : dict
        Keyword arguments for it.
    given : tuple of str, default=()
        Names of the positional arguments for it, for messages.

    Raises
    ------
    ValueError
        When it is a network, or does not take these arguments.
    """
    if isinstance(factory, nn.Module):
        made = f"lambda {given[0]}:" if given else "lambda:"
        raise ValueError(
            f"{name} must be a class, or a function that makes a new network at each call, because every class of "
            f"images and every fit has one of its own; got a {type(factory).__name__} that is made already. Pass "
            f"{name}={made} copy.deepcopy(network) to start from its weights, or its class."
        )
    try:
        signature = inspect.signature(factory)
    except (TypeError, ValueError):  # of a function in C that does not tell
        return
    takes = list(signature.parameters.values())
    call = f"{name}({', '.join(given)}{', ' if given and parameters else ''}{', '.join(parameters)})"
    positional = [parameter for parameter in takes if parameter.kind in _POSITIONAL]
    named = [parameter for parameter in takes if parameter.kind in _NAMED and parameter not in positional[: len(given)]]
    takes_any = any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in takes)
    unknown = parameters.keys() - {parameter.name for parameter in named}
    if unknown and not takes_any:
        known = ", ".join(f"{name}__{parameter.name}" for parameter in named) or "no parameters"
        raise ValueError(
            f"{', '.join(f'{name}__{parameter}' for parameter in sorted(unknown))} must be a parameter of {name}, "
            f"{name_of(factory)}, which takes {known}."
        )
    try:
        signature.bind(*given, **parameters)
    except TypeError as exc:
        raise ValueError(
            f"{name} must be callable as {call}; {name_of(factory)}{signature} is not: {exc}. A parameter of its own "
            f"needs a default, or is set as {name}__..."
        ) from exc


def check_network(network, name, *, is_conditional):
    """Return what a factory made if it is a network that can be trained, and raise an error otherwise.

    Parameters
    ----------
    network : object
        What the factory returned.
    name : {"generator", "discriminator"}
        Name of the factory.
    is_conditional : bool
        Whether a generator must make images of several classes.
    """
    kind = type(network).__name__
    if not isinstance(network, nn.Module):
        raise TypeError(f"{name} must return a torch.nn.Module; got {network!r}.")
    if name == "discriminator":
        return network
    latent_dim = getattr(network, "latent_dim", None)
    if not isinstance(latent_dim, Integral) or latent_dim < 1:
        raise ValueError(
            f"generator must make networks with an attribute latent_dim, the length of the noise that they take; that "
            f"of {kind} is {latent_dim!r}. Set it in __init__, as self.latent_dim = 100."
        )
    if is_conditional and not callable(getattr(network, "of_class", None)):
        raise ValueError(
            f"With conditional=True generator must make networks with a method of_class(index), which returns a "
            f"network from noise to images of this class alone; {kind} has none. "
            "gan_sampler.networks.ConditionalGenerator is an example."
        )
    return network


@torch.no_grad()
def try_networks(networks, image_shape, device, *index):
    """Raise an error unless two networks fit together, tried on a few images; nothing in them is changed.

    Parameters
    ----------
    networks : tuple of torch.nn.Module
        Generator and discriminator.
    image_shape : tuple of (int, int, int)
        Channels, height and width of the images.
    device : torch.device
        Where the networks are.
    *index : int
        A class, for class-conditional networks.
    """
    generator, discriminator = networks
    noise = torch.randn(_N_TRIED, generator.latent_dim, device=device)
    images = _call(generator, noise, *index, name="generator")
    wanted = (_N_TRIED, *image_shape)
    if tuple(images.shape) != wanted:
        raise ValueError(
            f"generator must map noise of shape {tuple(noise.shape)} to images of shape {wanted}; those of "
            f"{type(generator).__name__} are of shape {tuple(images.shape)}. It is told the shape of one image when it "
            "is made."
        )
    logits = _call(discriminator, images, *index, name="discriminator")
    if not logits.ndim or len(logits) != _N_TRIED:
        raise ValueError(
            f"discriminator must map {_N_TRIED} images to logits of shape ({_N_TRIED},), or with further axes; those "
            f"of {type(discriminator).__name__} are of shape {tuple(logits.shape)}."
        )


def _call(network, *inputs, name):
    """Return the output of a network in eval mode, in which it does not change, and put it back in its modes."""
    modes = [(module, module.training) for module in network.modules()]
    try:
        output = network.eval()(*inputs)
    except Exception as exc:
        shape = tuple(inputs[0].shape)
        exc.add_note(f"{name}, {type(network).__name__}, was tried on a tensor of shape {shape} before training.")
        raise
    finally:
        for module, is_training in modes:
            module.training = is_training
    if not isinstance(output, torch.Tensor):
        raise TypeError(f"{name} must return a tensor; {type(network).__name__} returned a {type(output).__name__}.")
    return output
