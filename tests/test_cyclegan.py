"""Translation of images into another class, there and back."""

import pickle

import numpy as np
import pytest
import torch
from conftest import make_shapes
from sklearn.exceptions import NotFittedError
from sklearn.preprocessing import FunctionTransformer
from torch import nn

from gan_sampler import CycleGANOverSampler
from gan_sampler.networks import PatchDiscriminator, Translator
from gan_sampler.training import train_cycle_gan
from gan_sampler.training._cycle import ImagePool


class Brighter(nn.Module):
    """A translator that adds one number, so that every loss can be worked out by hand."""

    def __init__(self, value):
        super().__init__()
        self.value = nn.Parameter(torch.tensor(value))

    def forward(self, images):
        return images + self.value


class MeanOfPixels(nn.Module):
    """A discriminator whose logit is the mean brightness, times a weight that starts at 1."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(1.0))

    def forward(self, images):
        return self.weight * images.mean((1, 2, 3))


def train(there, back, source, target, **options):
    return train_cycle_gan([there, back], [MeanOfPixels(), MeanOfPixels()], source, target, **options)


def test_losses_are_those_of_the_paper():
    """Least squares for both networks, and the mean absolute cycle-consistency error in both directions."""
    source, target = torch.full((4, 1, 8, 8), -0.5), torch.full((4, 1, 8, 8), 0.5)
    _, (record,) = train(Brighter(0.25), Brighter(-0.5), source, target, n_steps=1, batch_size=4)
    # source -.5 -> -.25 -> -.75, target .5 -> 0 -> .25: both ways miss by .25
    assert record["loss_cycle"] == pytest.approx(0.25 + 0.25)
    # the translations' logits are -.25 and 0, wanted are 1 and 1
    assert record["loss_generator"] == pytest.approx(1.25**2 + 1)
    # the real ones' logits are .5 and -.5, wanted 1 and 1; the translations' -.25 and 0, wanted 0 and 0
    assert record["loss_discriminator"] == pytest.approx((0.5**2 + 0.25**2) / 2 + (1.5**2 + 0) / 2)


@pytest.mark.parametrize("cycle_weight", [0.0, 100.0])
def test_cycle_weight_keeps_the_way_back(cycle_weight):
    """With a large weight two translators undo each other; with none they follow the discriminators alone."""
    torch.manual_seed(0)
    source, target = torch.full((8, 1, 8, 8), -0.5), torch.full((8, 1, 8, 8), 0.5)
    there, back = Brighter(0.3), Brighter(0.3)
    train(there, back, source, target, n_steps=60, batch_size=8, learning_rate=0.01, cycle_weight=cycle_weight)
    missed = abs(there.value.item() + back.value.item())
    assert (missed < 0.05) == (cycle_weight > 0)


def test_the_best_average_is_returned_frozen():
    """By the distance of its translations to the target, whatever training did later."""
    torch.manual_seed(0)
    target = 0.4 + 0.1 * torch.randn(20, 1, 8, 8)
    there, distances = Brighter(0.8), []

    def spoil_the_last(record):
        distances.append(record["score"])
        there.value.data += 5

    translator, history = train(
        there, Brighter(-0.8), target - 0.8, target, n_steps=150, learning_rate=1e-9, report=spoil_the_last
    )
    assert [record["step"] for record in history] == [50, 100, 150]
    assert distances[0] == min(distances) < distances[2]
    assert translator.value.item() == pytest.approx(0.8, abs=1e-3)
    assert not translator.value.requires_grad


def test_max_time_ends_training_early():
    """Whichever comes first."""
    images = torch.randn(4, 1, 8, 8)
    _, history = train(Brighter(0.0), Brighter(0.0), images, images, n_steps=10**7, max_time=0.1)
    assert history[-1]["step"] < 10**6


def test_one_source_image_is_enough():
    """It ended in an error of linear algebra."""
    X, _ = make_shapes(9, 0)
    y = np.array(["source"] + ["rare"] * 8)
    sampler = CycleGANOverSampler(
        sampling_strategy={"rare": 10}, n_steps=2, base_channels=2, n_blocks=1, batch_size=2, random_state=0
    )
    X_res, _ = sampler.fit_resample(X, y)
    assert len(X_res) == 11


def test_every_image_is_shown_once_before_one_is_again():
    """The batches are passes in random order, not draws with replacement."""
    target, seen = torch.linspace(-1, 1, 12).view(12, 1, 1, 1).expand(12, 1, 8, 8).contiguous(), []

    class Watching(MeanOfPixels):
        def forward(self, images):
            seen.append(images.detach()[:, 0, 0, 0])
            return super().forward(images)

    train_cycle_gan(
        [Brighter(7.0), Brighter(7.0)], [Watching(), MeanOfPixels()], target, target, n_steps=3, batch_size=4
    )
    real = [images for images in seen if torch.isin(images, target[:, 0, 0, 0]).all()]
    assert torch.equal(torch.cat(real[:3]).sort().values, target[:, 0, 0, 0])


def test_pool_shows_earlier_images():
    """Half of a batch is old once the pool is full, single images half of the time, and none is lost before."""
    torch.manual_seed(0)
    pool = ImagePool(4)
    first, second = torch.zeros(4, 1, 2, 2), torch.ones(4, 1, 2, 2)
    assert torch.equal(pool.exchange(first), first)
    assert pool.exchange(second).mean() == 0.5
    assert pool.images.mean() == 0.5
    pool = ImagePool(4)
    pool.exchange(first)
    shown = torch.cat([pool.exchange(second[:1] * step) for step in range(1, 201)])
    is_new = torch.isclose(shown[:, 0, 0, 0], torch.arange(1.0, 201))
    assert 70 < is_new.sum() < 130


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 9, 31), (2, 1, 40), (1, 70, 66)])
def test_networks_take_any_size(shape):
    """And their gradients reach every weight."""
    images = torch.randn(2, *shape)
    translator, discriminator = (
        Translator(shape, base_channels=2, n_blocks=1),
        PatchDiscriminator(shape, base_channels=2),
    )
    translated = translator(images)
    assert translated.shape == images.shape
    assert translated.abs().max() <= 1
    judged = discriminator(translated)
    assert judged.shape[:2] == (2, 1)
    judged.square().mean().backward()
    for network in (translator, discriminator):
        assert all(p.grad is not None for p in network.parameters())
        assert all(p.grad.abs().sum() > 0 for name, p in network.named_parameters() if "weight" in name)


@pytest.fixture(scope="module")
def fitted():
    """A sampler that had time to learn what tells squares from discs."""
    X, y = make_shapes(40, 12)
    sampler = CycleGANOverSampler(
        n_steps=400, base_channels=8, n_blocks=1, learning_rate=1e-3, repeated_share=0, random_state=0
    )
    return sampler, X, y, *sampler.fit_resample(X, y)


def test_translates_into_the_class(fitted):
    """Nearer to squares than to discs, and not all alike."""
    sampler, X, y, X_res, _ = fitted
    made = X_res[sampler.synthetic_mask_].astype(float)
    distance = {label: np.abs(X[y == label].mean(axis=0) - made.mean(axis=0)).mean() for label in ("disc", "square")}
    assert distance["square"] < distance["disc"]
    assert made.std(axis=0).mean() > 2


def test_sources_are_used_equally_often(fitted):
    """Each once while there are enough, so that no two images are the same translation."""
    sampler, X, y, X_res, _ = fitted
    made = X_res[sampler.synthetic_mask_]
    all_translated = sampler.translate(X[y == "disc"], "square")
    rows = [np.flatnonzero((all_translated == image).all(axis=(1, 2))) for image in made]
    assert len(np.unique(np.concatenate(rows))) == len(made) == 28


def test_herding_chooses_no_image_twice(fitted):
    """There are no more different translations than sources, so it must not ask for more."""
    _, X, y, *_ = fitted
    pixels = FunctionTransformer(lambda images: images.reshape(len(images), -1) / 255)
    sampler = CycleGANOverSampler(
        n_steps=2, base_channels=2, n_blocks=1, herding=pixels, repeated_share=0, random_state=0
    )
    X_res, _ = sampler.fit_resample(X, y)
    made = X_res[sampler.synthetic_mask_]
    assert len(np.unique(made, axis=0)) == len(made) == 28


def test_translates_no_colour_that_it_has_not_learnt():
    """Three equal channels are learnt as one, so colour would be dropped without a word."""
    X, y = make_shapes(12, 4)
    X = np.repeat(X[..., None], 3, axis=-1)
    sampler = CycleGANOverSampler(n_steps=1, base_channels=2, n_blocks=1, random_state=0)
    sampler.fit_resample(X, y)
    coloured = X[:2].copy()
    coloured[..., 2] //= 2
    with pytest.raises(ValueError, match=r"X must hold images without colour, .* like the images seen at fit"):
        sampler.translate(coloured, "square")


def test_translate_says_what_is_wrong(fitted):
    """Before fitting, of other classes, of other images."""
    sampler, X, *_ = fitted
    with pytest.raises(NotFittedError, match="fit_resample"):
        CycleGANOverSampler().translate(X, "square")
    with pytest.raises(ValueError, match=r"label must be one of .*\['square'\]; got 'disc'"):
        sampler.translate(X, "disc")
    with pytest.raises(ValueError, match="shape seen at fit"):
        sampler.translate(X[:, :8], "square")


def test_history_pickle_and_divergence(fitted):
    """What is kept is plain; what fails is named."""
    sampler, X, y, *_ = fitted
    losses = {"loss_discriminator", "loss_generator", "loss_cycle"}
    scores = {"score", "variance_ratio", "spectral_distance"}
    assert set(sampler.history_["square"][-1]) == {"step", "seconds"} | losses | scores
    loaded = pickle.loads(pickle.dumps(sampler))
    np.testing.assert_array_equal(loaded.translate(X[:3], "square"), sampler.translate(X[:3], "square"))
    with pytest.raises(FloatingPointError, match=r"class 'square' diverged: .* step .*learning_rate"):
        CycleGANOverSampler(n_steps=100, base_channels=2, learning_rate=1e30, random_state=0).fit_resample(X, y)
