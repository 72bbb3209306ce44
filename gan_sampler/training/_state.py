"""The state of a training."""

import copy
import itertools

import torch

from .._files import check_tensors
from ..runtime import draws_from_torch
from ._average import move_average
from ._step import fixed_modules

_PROBE_BATCH_SIZE = 64
_LARGEST_LOSS = 1e4  # mean losses of valid trainings are at most some hundreds


class BatchOrder:
    """Batches of row numbers in random order; of one class each, where there are classes.

    Parameters
    ----------
    n_images : int
        Number of images.
    classes : torch.Tensor of shape (n_images,), int64, or None
        Class of each image, 0, 1 and so on, for batches of one class.
    stream : torch.Generator
        Source of the random order; rows are on its device.
    """

    def __init__(self, n_images, classes, stream):
        self._stream = stream
        every_row = torch.arange(n_images, device=stream.device)
        self._rows = [every_row] if classes is None else [every_row[classes == index] for index in classes.unique()]
        self.order = torch.cat([self._shuffled(rows) for rows in self._rows])
        self.positions = [0] * len(self._rows)

    def next(self, batch_size, index=0):
        """Return the rows of the next batch of a class.

        The order is shuffled in each epoch, which leaves out the images after the last full batch. The batch is smaller
        than `batch_size` where there are fewer images.
        """
        first, n_images = sum(map(len, self._rows[:index])), len(self._rows[index])
        batch_size = min(batch_size, n_images)
        order, start = self.order[first : first + n_images], self.positions[index]
        if start + batch_size > n_images:
            start = 0
            order.copy_(self._shuffled(self._rows[index]))
        self.positions[index] = start + batch_size
        return order[start : start + batch_size]

    def _shuffled(self, rows):
        return rows[torch.randperm(len(rows), generator=self._stream, device=self._stream.device)]


def trained_parameters(network):
    """Return the parameters of a network that training changes: those that require a gradient.

    Raises
    ------
    ValueError
        When there are none.
    """
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    if not parameters:
        raise ValueError(
            f"Generator and discriminator must have parameters that require a gradient; got a {type(network).__name__} "
            "without any. Add a layer that is trained, such as a head on a frozen network, or call requires_grad_()."
        )
    return parameters


def constant_names(network):
    """Return the names in a network's ``state_dict`` of the tensors that training leaves as they are.

    These are the parameters without gradient, and the buffers of frozen modules, such as the running statistics of a
    pretrained network.

    Parameters
    ----------
    network : torch.nn.Module
        A network with parameters that are trained.

    Returns
    -------
    names : set of str
    """
    fixed = fixed_modules(network)
    names = {name for name, parameter in network.named_parameters() if not parameter.requires_grad}
    for prefix, module in network.named_modules():
        if module in fixed:
            names |= {f"{prefix}.{name}" for name, _ in module.named_buffers(recurse=False)}
    return names & network.state_dict().keys()


class TrainingState:
    """Networks, optimisers, random generators and progress: all that is needed to return to a step and continue.

    What training leaves as it is, such as a frozen pretrained network in the discriminator, is not part of the state.

    Parameters
    ----------
    generator, discriminator : torch.nn.Module
        On their device and in training mode; trained in place.
    learning_rates : tuple of (float, float)
        Learning rates of Adam for generator and discriminator.
    beta_1 : float
        Decay rate of Adam's first moment.
    batches : BatchOrder
        Order of the images.
    progress : Progress
        Clock and history.
    stream : torch.Generator
        Source of noise, order and augmentation.

    Attributes
    ----------
    average : torch.nn.Module
        Moving average of the generator.
    best : torch.nn.Module
        The average at the best report.
    n_rollbacks : int
        Number of times that training was set back to the last valid state.
    """

    def __init__(self, generator, discriminator, *, learning_rates, beta_1, batches, progress, stream):
        self.generator, self.discriminator = generator, discriminator
        self.batches, self.progress, self.stream = batches, progress, stream
        self.average = copy.deepcopy(generator).requires_grad_(False)
        self.best = copy.deepcopy(self.average)
        self.adams = [
            torch.optim.Adam(
                trained_parameters(network), lr=rate, betas=(beta_1, 0.999), fused=_has_fused_adam(network)
            )
            for network, rate in zip((generator, discriminator), learning_rates, strict=True)
        ]
        self.generator_adam, self.discriminator_adam = self.adams
        for adam in self.adams:
            _initialise_moments(adam)
        self._learning_rates = learning_rates
        of_generator, of_discriminator = constant_names(generator), constant_names(discriminator)
        self._networks = {
            "generator": (generator, of_generator),
            "discriminator": (discriminator, of_discriminator),
            "average": (self.average, of_generator),
            "best": (self.best, of_generator),
        }
        self.n_rollbacks = 0
        self._draws_from_torch = draws_from_torch(generator) or draws_from_torch(discriminator)

    def capture(self):
        """Return a copy of the state.

        Returns
        -------
        tensors : dict of str to torch.Tensor
            Copies, on the same device.
        progress : dict
            Numbers, strings and lists that JSON can hold.
        """
        tensors = {name: tensor.detach().clone() for name, tensor in self._tensors().items()}
        tensors["random_state"] = self.stream.get_state()
        if self._draws_from_torch:
            tensors["random_state.torch"] = torch.get_rng_state()
            if self.stream.device.type != "cpu":
                module = torch.get_device_module(self.stream.device)
                tensors["random_state.device"] = module.get_rng_state(self.stream.device)
        positions = list(self.batches.positions)
        return tensors, {**self.progress.state_dict(), "positions": positions, "n_rollbacks": self.n_rollbacks}

    @torch.no_grad()
    def restore(self, tensors, progress):
        """Restore a captured state, also of another machine.

        Parameters
        ----------
        tensors, progress : dict
            As `capture` returned them, for networks of the same shapes.

        Raises
        ------
        ValueError
            When they are of other networks.
        """
        # Because copy_ would broadcast.
        check_tensors(tensors, self._tensors(), "The state must be of networks of these shapes")
        if len(progress["positions"]) != len(self.batches.positions):
            raise ValueError(f"positions must be {len(self.batches.positions)}, one for each class")
        for name, tensor in self._tensors().items():
            tensor.copy_(tensors[name])  # in place, because the memory format decides the kernels and so the rounding
        self.stream.set_state(tensors["random_state"].cpu())
        if self._draws_from_torch and "random_state.torch" in tensors:
            torch.set_rng_state(tensors["random_state.torch"].cpu())
            if "random_state.device" in tensors and self.stream.device.type != "cpu":
                module = torch.get_device_module(self.stream.device)
                module.set_rng_state(tensors["random_state.device"].cpu(), self.stream.device)
        self.progress.load_state_dict(progress)
        self.batches.positions = list(progress["positions"])
        self.set_rollbacks(progress["n_rollbacks"])

    def set_rollbacks(self, n_rollbacks):
        """Halve the learning rates once for each rollback."""
        self.n_rollbacks = n_rollbacks
        for adam, rate in zip(self.adams, self._learning_rates, strict=True):
            for group in adam.param_groups:
                group["lr"] = rate * 0.5**n_rollbacks

    def is_finite(self):
        """Whether every weight is finite and both mean losses are within reason; waits for the device."""
        parameters = itertools.chain(*(group["params"] for adam in self.adams for group in adam.param_groups))
        # False also for NaN
        is_within = self.progress.losses.abs() < _LARGEST_LOSS * self.progress.steps_since_report()
        return bool(torch.stack([is_within.all(), *(p.detach().isfinite().all() for p in parameters)]).all())

    def draw_noise(self, n_images):
        """Return noise for `n_images` images, of shape (n_images, latent_dim)."""
        return draw_noise(self.generator, n_images, self.stream)

    def move_average(self, decay):
        """Update the moving average of the generator."""
        move_average(self.average, self.generator, self.progress.step, decay)

    @torch.no_grad()
    def evaluate(self, probe, score):
        """Add the losses and score of this step to the history, and keep the average if it is the best so far.

        Parameters
        ----------
        probe : torch.Tensor of shape (n, latent_dim)
            Noise to draw the scored images from.
        score : callable or None
            Takes these images and returns a dict with ``score``, the lower the better. With None the latest average is
            the best.

        Returns
        -------
        record : dict
            The new entry of the history.
        """
        scores = {}
        if score is not None:  # in training mode, because the average has no running statistics of its own
            scored = getattr(score, "classes", None)
            scores = score(self._draw(probe) if scored is None else [self._draw(probe, index) for index in scored])
        if self.progress.would_be_best(scores):  # before the report, so that after Ctrl-C every entry has its snapshot
            self.best.load_state_dict(self.average.state_dict())
        return self.progress.report(scores)

    def _draw(self, probe, *index):
        return torch.cat([self.average(noise, *index) for noise in probe.split(_PROBE_BATCH_SIZE)])

    def _tensors(self):
        tensors = {"losses": self.progress.losses, "order": self.batches.order}
        for name, (network, constant) in self._networks.items():
            state = network.state_dict()
            tensors |= {f"{name}.{key}": value for key, value in state.items() if key not in constant}
        for name, adam in zip(("generator", "discriminator"), self.adams, strict=True):
            for i, moments in enumerate(adam.state.values()):
                tensors |= {f"adam.{name}.{i}.{key}": value for key, value in moments.items()}
        return tensors


def draw_noise(generator, n_images, stream):
    """Return standard normal noise for a generator, of shape (n_images, latent_dim), on the device of `stream`."""
    shape = n_images, generator.latent_dim
    return torch.randn(shape, generator=stream, device=stream.device, dtype=torch.float32)


def _has_fused_adam(network):
    return next(network.parameters()).device.type in ("cpu", "cuda")


def _initialise_moments(adam):
    """Initialise Adam's moments, as its first step would, so that the state can be captured before it."""
    for group in adam.param_groups:
        for parameter in group["params"]:
            adam.state[parameter] = {
                "step": torch.zeros((), dtype=torch.float32, device=parameter.device if group["fused"] else "cpu"),
                "exp_avg": torch.zeros_like(parameter, memory_format=torch.preserve_format),
                "exp_avg_sq": torch.zeros_like(parameter, memory_format=torch.preserve_format),
            }
