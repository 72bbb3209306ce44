"""SMOTE in an autoencoder's codes."""

import pickle

import numpy as np
import pytest
import torch
from conftest import make_shapes
from torch import nn

from gan_sampler import CollapseWarning, DeepSMOTE
from gan_sampler.networks import Encoder
from gan_sampler.training import train_autoencoder


class Offset(nn.Module):
    """A coder that adds one number, so that every loss can be worked out by hand."""

    def __init__(self, value=0.0):
        super().__init__()
        self.value = nn.Parameter(torch.tensor(value))

    def forward(self, images):
        return images + self.value


def test_losses_are_those_of_the_paper():
    """Algorithm 1: error of reconstruction, and error of decoding codes in another order."""
    torch.manual_seed(0)
    images = torch.cat([torch.full((4, 1, 8, 8), 0.5), torch.full((4, 1, 8, 8), -0.5)])
    classes = torch.tensor([0] * 4 + [1] * 4)
    (record,) = train_autoencoder(Offset(), Offset(0.1), images, classes, n_steps=1)
    assert record["loss_reconstruction"] == pytest.approx(0.01)
    assert record["loss_penalty"] == pytest.approx(0.01)  # within a class all are alike: order changes nothing
    several = torch.randn(100, 1, 8, 8)
    (record,) = train_autoencoder(Offset(), Offset(), several, torch.zeros(100).long(), n_steps=1)
    assert record["loss_reconstruction"] == pytest.approx(0.0)
    assert record["loss_penalty"] == pytest.approx(2 * several.var().item(), rel=0.1)  # of two images at random


def test_the_best_snapshot_is_kept_and_frozen():
    """As the authors keep it: by the smallest loss."""
    torch.manual_seed(0)
    encoder, decoder, offsets = Offset(), Offset(1.0), []

    def spoil_the_last(record):
        offsets.append(encoder.value.item() + decoder.value.item())
        if record["step"] == 150:  # the last of four reports is the worst
            decoder.value.data += 5

    images, classes = torch.zeros(10, 1, 8, 8), torch.zeros(10).long()
    history = train_autoencoder(
        encoder, decoder, images, classes, n_steps=200, learning_rate=0.01, report=spoil_the_last
    )
    totals = [record["loss_reconstruction"] + record["loss_penalty"] for record in history]
    assert [record["step"] for record in history] == [50, 100, 150, 200]
    assert min(totals) == totals[2] < totals[3]
    assert encoder.value.item() + decoder.value.item() == pytest.approx(offsets[2])
    assert not any(p.requires_grad for p in [*encoder.parameters(), *decoder.parameters()])


def test_max_time_ends_training_early():
    """Whichever comes first."""
    history = train_autoencoder(
        Offset(), Offset(), torch.zeros(4, 1, 8, 8), torch.zeros(4).long(), n_steps=10**7, max_time=0.1
    )
    assert history[-1]["step"] < 10**6


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 9, 31), (1, 64, 48)])
def test_encoder_takes_any_size(shape):
    """And its gradients reach every weight."""
    encoder = Encoder(shape, latent_dim=7, base_channels=4, norm="batch")
    codes = encoder(torch.randn(3, *shape))
    assert codes.shape == (3, 7)
    codes.square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in encoder.parameters())


@pytest.fixture(scope="module")
def fitted():
    """A sampler that had time to learn what squares look like."""
    X, y = make_shapes(40, 12)
    sampler = DeepSMOTE(n_steps=200, base_channels=8, latent_dim=16, batch_size=32, learning_rate=2e-3, random_state=0)
    return sampler, X, y, *sampler.fit_resample(X, y)


def test_draws_images_of_the_class(fitted):
    """Nearer to squares than to discs, and not all alike."""
    sampler, X, y, X_res, _ = fitted
    made = X_res[sampler.synthetic_mask_].astype(float)
    distance = {label: np.abs(X[y == label].mean(axis=0) - made.mean(axis=0)).mean() for label in ("disc", "square")}
    assert distance["square"] < distance["disc"]
    assert made.std(axis=0).mean() > 2


def test_codes_lie_between_those_of_a_class(fitted):
    """On the line from a code to one of its neighbours, never outside the class."""
    sampler = fitted[0]
    codes = np.array([[0.0, 0], [1, 0], [0, 1]], dtype=np.float32)
    mixed = sampler._mix(codes, 200, np.random.RandomState(0))
    assert mixed.shape == (200, 2)
    assert mixed.min() >= 0
    assert (mixed.sum(axis=1) <= 1 + 1e-6).all()
    on_a_side = (np.abs(mixed) < 1e-6).any(axis=1) | (np.abs(mixed.sum(axis=1) - 1) < 1e-6)
    assert on_a_side.all()


def test_collapse_is_told():
    """After a few steps a decoder draws the mean of all images, however good the classifier may find it."""
    X, y = make_shapes(40, 12)
    with pytest.warns(CollapseWarning, match=r"images drawn for class 'square' \(variance_ratio .*\) vary much less"):
        DeepSMOTE(n_steps=3, base_channels=4, latent_dim=4, random_state=0).fit_resample(X, y)


def test_a_class_of_two_images_has_one_neighbour():
    """Rare classes are the point."""
    X, y = make_shapes(12, 2)
    X_res, _ = DeepSMOTE(n_steps=2, base_channels=4, latent_dim=4, random_state=0).fit_resample(X, y)
    assert len(X_res) == 24


def test_history_pickle_and_divergence(fitted):
    """What is kept is plain; what fails is named."""
    sampler, X, y, *_ = fitted
    assert set(sampler.history_[-1]) == {"step", "seconds", "loss_reconstruction", "loss_penalty", "score"}
    loaded = pickle.loads(pickle.dumps(sampler))
    image = torch.zeros(1, 1, 12, 12)
    assert torch.equal(loaded.decoder_(loaded.encoder_(image)), sampler.decoder_(sampler.encoder_(image)))
    with pytest.raises(FloatingPointError, match=r"autoencoder diverged: .* step .*learning_rate"):
        DeepSMOTE(n_steps=100, base_channels=4, learning_rate=1e30, random_state=0).fit_resample(X, y)
