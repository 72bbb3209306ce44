"""All that changes in the course of a training."""

import copy
import itertools

import torch
from torch.optim.swa_utils import get_ema_multi_avg_fn

_PROBE_BATCH_SIZE = 64
_LARGEST_LOSS = 1e4  # a mean loss of a sound training is some hundreds at the most


class TrainingState:
    """Networks, optimisers, random streams and bookkeeping: what must be kept to go back to an instant, or on from it.

    Parameters
    ----------
    generator, discriminator : torch.nn.Module
        The players, on their device; they are trained in place.
    learning_rates : tuple of (float, float)
        Step sizes of Adam for generator and discriminator.
    beta_1 : float
        Adam's decay of the first moment.
    n_images : int
        Number of real images.
    classes : torch.Tensor of shape (n_images,), int64, or None, default=None
        Class of each, where batches shall be of one class.

    Attributes
    ----------
    average : torch.nn.Module
        Moving average of the generator.
    progress : dict
        Plain numbers, lists and strings, in words of JSON: ``step``, ``seconds``, ``best_step``, ``best_score``,
        ``n_rollbacks``, ``positions`` in the order of the images of each class, and ``history``.
    """

    def __init__(self, generator, discriminator, *, learning_rates, beta_1, n_images, classes=None):
        self.generator, self.discriminator = generator, discriminator
        self.average = copy.deepcopy(generator).requires_grad_(False)
        self.best = copy.deepcopy(self.average)
        self.adams = [
            torch.optim.Adam(network.parameters(), lr=rate, betas=(beta_1, 0.999), fused=_has_fused_adam(network))
            for network, rate in zip((generator, discriminator), learning_rates, strict=True)
        ]
        self.generator_adam, self.discriminator_adam = self.adams
        for adam in self.adams:
            _fill_in(adam)
        self._learning_rates = learning_rates
        device = next(generator.parameters()).device
        self.losses = torch.zeros(2, device=device)  # summed there, so that a step does not wait for the device
        every_row = torch.arange(n_images, device=device)
        self._rows = [every_row] if classes is None else [every_row[classes == index] for index in classes.unique()]
        self.order = torch.cat([rows[torch.randperm(len(rows), device=device)] for rows in self._rows])
        self.progress = {
            "step": 0,
            "seconds": 0.0,
            "positions": [0] * len(self._rows),
            "n_rollbacks": 0,
            "best_step": 0,
            "best_score": None,
            "history": [],
        }

    def capture(self):
        """Return a copy of the state.

        Returns
        -------
        tensors : dict of str to torch.Tensor
            Copies on the device they came from.
        progress : dict
            As `progress`.
        """
        tensors = {name: tensor.detach().clone() for name, tensor in self._tensors().items()}
        tensors["random_state.cpu"] = torch.get_rng_state()
        if self.order.device.type != "cpu":
            tensors["random_state.device"] = torch.get_device_module(self.order.device).get_rng_state(self.order.device)
        return tensors, copy.deepcopy(self.progress)

    @torch.no_grad()
    def restore(self, tensors, progress):
        """Go to a captured state, on this or another machine.

        Parameters
        ----------
        tensors, progress : dict
            As `capture` returned them, for networks of the same shapes.
        """
        for name, tensor in self._tensors().items():
            tensor.copy_(tensors[name])  # keeps the memory format, which decides the kernels and with them the rounding
        torch.set_rng_state(tensors["random_state.cpu"])
        if "random_state.device" in tensors and self.order.device.type != "cpu":
            module = torch.get_device_module(self.order.device)
            module.set_rng_state(tensors["random_state.device"].cpu(), self.order.device)
        self.progress.update(copy.deepcopy(progress))
        self.set_learning_rates()

    def set_learning_rates(self):
        """Halve the step sizes once for every time that training was taken back."""
        for adam, rate in zip(self.adams, self._learning_rates, strict=True):
            for group in adam.param_groups:
                group["lr"] = rate * 0.5 ** self.progress["n_rollbacks"]

    def is_sound(self):
        """Whether every weight is finite and both mean losses are within reason; waits for the device."""
        parameters = itertools.chain(self.generator.parameters(), self.discriminator.parameters())
        is_within = self.losses.abs() < _LARGEST_LOSS * self._steps_since_report()  # false for what is no number
        return bool(torch.stack([is_within.all(), *(p.detach().isfinite().all() for p in parameters)]).all())

    def _steps_since_report(self):
        history = self.progress["history"]
        return self.progress["step"] - (history[-1]["step"] if history else 0)

    def draw_noise(self, n_images):
        """Return noise for `n_images` images, of shape (n_images, latent_dim)."""
        return torch.randn(n_images, self.generator.latent_dim, device=self.order.device)

    def next_rows(self, batch_size, index=0):
        """Return the rows of the next batch, of one class where there are classes.

        Passes in random order; images beyond the last full batch sit one out. Fewer rows where there are fewer images.
        """
        first, n_images = sum(map(len, self._rows[:index])), len(self._rows[index])
        batch_size = min(batch_size, n_images)
        order, start = self.order[first : first + n_images], self.progress["positions"][index]
        if start + batch_size > n_images:
            start = 0
            order.copy_(self._rows[index][torch.randperm(n_images, device=order.device)])
        self.progress["positions"][index] = start + batch_size
        return order[start : start + batch_size]

    @torch.no_grad()
    def move_average(self, decay):
        """Let the average follow the generator; early on it forgets faster, as (1 + step) / (10 + step)."""
        step = self.progress["step"]
        move = get_ema_multi_avg_fn(min(decay, (1 + step) / (10 + step)))
        move(list(self.average.parameters()), list(self.generator.parameters()), None)

    @torch.no_grad()
    def look(self, probe, score):
        """Enter losses and score of this instant in the history, and remember the average if it is the best so far.

        Parameters
        ----------
        probe : torch.Tensor of shape (n, latent_dim)
            Noise to draw the scored images from.
        score : callable or None
            Takes these images and returns a dict with ``score``, the lower the better. None takes the newest average
            for the best.

        Returns
        -------
        record : dict
            The new entry of the history.
        """
        history = self.progress["history"]
        loss_discriminator, loss_generator = (self.losses / self._steps_since_report()).tolist()
        self.losses.zero_()
        record = {
            "step": self.progress["step"],
            "seconds": self.progress["seconds"],
            "loss_discriminator": loss_discriminator,
            "loss_generator": loss_generator,
        }
        if score is not None:  # in training mode: the average's running statistics are those of no network that ran
            told = getattr(score, "classes", None)
            record |= score(self._draw(probe) if told is None else [self._draw(probe, index) for index in told])
        history.append(record)
        best_score = self.progress["best_score"]
        if score is None or best_score is None or record["score"] < best_score:
            self.best.load_state_dict(self.average.state_dict())
            self.progress["best_step"], self.progress["best_score"] = record["step"], record.get("score")
        return record

    def _draw(self, probe, *told):
        return torch.cat([self.average.train()(noise, *told) for noise in probe.split(_PROBE_BATCH_SIZE)])

    def _tensors(self):
        tensors = {"losses": self.losses, "order": self.order}
        networks = ("generator", "discriminator", "average", "best")
        for name in networks:
            tensors |= {f"{name}.{key}": value for key, value in getattr(self, name).state_dict().items()}
        for name, adam in zip(networks, self.adams, strict=False):
            for i, moments in enumerate(adam.state.values()):
                tensors |= {f"adam.{name}.{i}.{key}": value for key, value in moments.items()}
        return tensors


def _has_fused_adam(network):
    return next(network.parameters()).device.type in ("cpu", "cuda")


def _fill_in(adam):
    """Make Adam's moments, which it would make itself at its first step, so that there is always a state to go to."""
    for group in adam.param_groups:
        for parameter in group["params"]:
            adam.state[parameter] = {
                "step": torch.zeros((), device=parameter.device if group["fused"] else "cpu"),
                "exp_avg": torch.zeros_like(parameter, memory_format=torch.preserve_format),
                "exp_avg_sq": torch.zeros_like(parameter, memory_format=torch.preserve_format),
            }
