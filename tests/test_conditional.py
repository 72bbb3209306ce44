"""Class-conditional networks: one generator for all classes."""

import numpy as np
import pytest
import torch
from conftest import make_shapes

from gan_sampler import ConditionalDCGANOverSampler
from gan_sampler.networks import ConditionalGenerator, Discriminator, GeneratorOfOneClass, ProjectionDiscriminator
from gan_sampler.networks._conditional import ClassBatchNorm2d
from gan_sampler.runtime import random_stream
from gan_sampler.samplers import _base_gan
from gan_sampler.training import PixelFrechetDistance, PixelFrechetDistanceByClass, augment_mildly, train_gan
from gan_sampler.training._losses import NON_SATURATING
from gan_sampler.training._state import BatchOrder
from gan_sampler.training._step import discriminator_gradients, generate, generator_gradients, one_pass_gradients

SHAPE = (1, 16, 16)


def make_networks(n_classes=3):
    torch.manual_seed(0)
    generator = ConditionalGenerator(SHAPE, n_classes, latent_dim=8, base_channels=4)
    return generator, ProjectionDiscriminator(SHAPE, n_classes, base_channels=4)


def test_class_changes_image_and_logit_and_gradients_reach_its_vector():
    """A class that the networks do not hear of cannot be asked for."""
    generator, discriminator = make_networks()
    noise = torch.randn(4, 8)
    images = [generator(noise, index) for index in range(3)]
    assert all((images[0] - other).abs().max() > 1e-4 for other in images[1:])
    logits = [discriminator(images[0], index) for index in range(3)]
    assert all((logits[0] - other).abs().max() > 1e-4 for other in logits[1:])
    sum(discriminator(generator(noise, index), index).sum() for index in range(3)).backward()
    for network in (generator, discriminator):
        assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())


def test_a_class_moves_its_own_normalisation_alone():
    """Statistics that classes share let a generator draw one image a class: their difference is variance enough."""
    generator, discriminator = make_networks()
    discriminator(generator(torch.randn(4, 8), 1), 1).sum().backward()
    norms = [module for module in generator.modules() if isinstance(module, ClassBatchNorm2d)]
    assert len(norms) == 2
    for norm in norms:
        assert [each.weight.grad is not None for each in norm.of_class] == [False, True, False]
        assert [int(each.num_batches_tracked) for each in norm.of_class] == [0, 1, 0]


def test_projection_is_added_to_the_unconditional_logit():
    """Equation 3 of Miyato and Koyama: a linear term of the features, and their product with the class's vector."""
    _, discriminator = make_networks()
    images = torch.randn(4, *SHAPE)
    plain = Discriminator(SHAPE, base_channels=4)
    plain.load_state_dict(discriminator.unconditional.state_dict())
    product = torch.stack([features @ discriminator.class_embeddings[2] for features in plain.features(images)])
    torch.testing.assert_close(discriminator(images, 2), plain(images) + product)


def test_one_pass_gives_the_gradients_of_two():
    """The class as an input couples no images of a batch."""
    generator, discriminator = (network.double() for network in make_networks())
    networks, real, noise = (generator, discriminator), torch.randn(6, *SHAPE).double(), torch.randn(6, 8).double()
    options = {"loss": NON_SATURATING, "augment": torch.nn.Identity(), "index": 1}
    one_pass_gradients(generator, discriminator, real, noise, **options)
    gradients = [parameter.grad for network in networks for parameter in network.parameters()]
    for network in networks:
        network.zero_grad()
    fake = generate(generator, noise, 1)
    discriminator_gradients(discriminator, real, fake, **options)
    generator_gradients(discriminator, fake, **options)
    expected = [parameter.grad for network in networks for parameter in network.parameters()]
    assert sum(gradient is not None for gradient in gradients) > 10
    for gradient, other in zip(gradients, expected, strict=True):
        assert (gradient is None) == (other is None)
        if gradient is not None:
            torch.testing.assert_close(gradient, other, rtol=0, atol=1e-10)


def test_batches_are_of_one_class_and_show_its_images_in_turn():
    """Classes take turns, so that a rare one is not seen once in a hundred batches."""
    classes = torch.tensor([0, 1, 0, 2, 2] * 6)  # 12, 6 and 12 images
    batches = BatchOrder(30, classes, random_stream(torch.device("cpu"), 0))
    drawn = [[batches.next(4, index).clone() for _ in range(3)] for index in range(3)]
    for index, of_class in enumerate(drawn):
        assert all((classes[rows] == index).all() for rows in of_class)
    assert torch.cat(drawn[0]).unique().numel() == 12
    assert torch.cat(drawn[1]).unique().numel() > 4
    assert batches.next(100, 1).numel() == 6


def test_every_class_is_trained_or_the_fit_refused():
    """A class that no batch showed would be drawn from untrained weights."""
    X, _ = make_shapes(21, 0)
    y = np.array(["a"] * 12 + ["b"] * 6 + ["c"] * 3)
    with pytest.raises(ValueError, match=r"n_steps must be at least 3, one for each class .*got 2"):
        ConditionalDCGANOverSampler(n_steps=2, base_channels=2, random_state=0).fit_resample(X, y)
    sampler = ConditionalDCGANOverSampler(n_steps=5, max_time=1e-9, base_channels=2, random_state=0)
    sampler.fit_resample(X, y)
    assert sampler.history_["c"][-1]["step"] == 3


def test_score_is_the_mean_over_classes_and_each_has_its_own():
    """The snapshot that is kept must serve all of them, and a warning name the right one."""
    torch.manual_seed(0)
    images = torch.cat([0.1 * torch.randn(40, *SHAPE), 0.5 + 0.1 * torch.randn(30, *SHAPE)])
    classes = torch.tensor([0] * 40 + [1] * 30)
    drawn = [0.1 * torch.randn(256, *SHAPE), 0.01 * torch.randn(256, *SHAPE)]
    alone = [PixelFrechetDistance(images[classes == i])(drawn[i]) for i in (0, 1)]
    found = PixelFrechetDistanceByClass(images, classes, [0, 1])(drawn)
    assert found["score"] == pytest.approx(np.mean([record["score"] for record in alone]))
    for i, record in enumerate(alone):
        assert {name: found[f"{name}_{i}"] for name in record} == record


def test_a_fixed_class_draws_what_the_class_draws():
    """What is taken out is what was trained."""
    generator, _ = make_networks()
    generator.eval()
    noise = torch.randn(5, 8)
    torch.testing.assert_close(GeneratorOfOneClass(generator, 2)(noise), generator(noise, 2))


def test_images_scored_are_those_that_will_be_drawn_and_classes_are_learnt():
    """One scored class of two: its snapshot draws at the end what the score saw."""
    torch.manual_seed(0)
    images = torch.cat([torch.full((8, *SHAPE), -0.5), torch.full((8, *SHAPE), 0.5)])
    images += 0.02 * torch.randn(images.shape)
    classes = torch.tensor([0] * 8 + [1] * 8)
    score, seen = PixelFrechetDistanceByClass(images, classes, [1]), []

    def watch(drawn):
        seen.append(drawn[0].mean().item())
        return score(drawn)

    watch.n_images, watch.classes = score.n_images, score.classes
    options = {"n_steps": 400, "learning_rate": 2e-3, "ema_decay": 0.9}
    frozen, history = train_gan(*make_networks(2), images, classes=classes, score=watch, **options)
    best = min(range(len(history)), key=lambda i: history[i]["score"])
    dark, light = (GeneratorOfOneClass(frozen, i)(torch.randn(256, 8)).mean().item() for i in (0, 1))
    assert light == pytest.approx(seen[best], abs=0.1)
    assert dark < -0.2 < 0.2 < light


@pytest.mark.filterwarnings("error::gan_sampler.CollapseWarning")
def test_images_of_a_class_are_not_all_alike():
    """The noise must not be drowned by the class."""
    X, y = make_shapes(40, 30)
    sampler = ConditionalDCGANOverSampler(n_steps=500, ema_decay=0.98, random_state=0)
    sampler.fit_resample(X, y)
    assert sampler.history_["square"][-1]["variance_ratio"] > 0.3


@pytest.fixture(scope="module")
def fitted():
    """A sampler that had time to tell squares from discs."""
    sampler = ConditionalDCGANOverSampler(
        n_steps=500, base_channels=8, ema_decay=0.98, synthetic_classes="all", random_state=0
    )
    X, y = make_shapes(40, 12)
    return sampler, X, y, *sampler.fit_resample(X, y)


def test_draws_the_class_that_it_is_asked_for(fitted):
    """Of both classes, from one training."""
    sampler, X, y, X_res, y_res = fitted
    means = {label: X[y == label].mean(axis=0) for label in ("disc", "square")}
    for label in means:
        made = X_res[sampler.synthetic_mask_ & (y_res == label)].mean(axis=0)
        distances = {other: np.abs(mean - made).mean() for other, mean in means.items()}
        assert min(distances, key=distances.get) == label


def test_file_and_sampler_draw_the_same(fitted, tmp_path):
    """Saved by class, though trained together."""
    sampler = fitted[0]
    sampler.save(tmp_path / "sampler.safetensors")
    again = ConditionalDCGANOverSampler.load(tmp_path / "sampler.safetensors")
    for label in ("disc", "square"):
        np.testing.assert_array_equal(again.sample(5, label, random_state=1), sampler.sample(5, label, random_state=1))


def test_an_interrupted_training_ends_with_the_same_images(tmp_path):
    """And other labels for the same images are refused."""
    X, y = make_shapes()
    whole = ConditionalDCGANOverSampler(n_steps=100, base_channels=4, random_state=0)
    expected, _ = whole.fit_resample(X, y)
    part = ConditionalDCGANOverSampler(n_steps=50, base_channels=4, random_state=0, checkpoint_dir=tmp_path)
    part.fit_resample(X, y)
    found, _ = part.set_params(n_steps=100).fit_resample(X, y)
    np.testing.assert_array_equal(found, expected)
    with pytest.raises(ValueError, match=r"scored.*: 1 there, 0 in this fit"):
        part.set_params(sampling_strategy={"disc": 30}).fit_resample(X, y)
    part.set_params(sampling_strategy="auto")
    y_other = y.copy()
    y_other[np.flatnonzero(y == "disc")[0]] = "square"
    with pytest.raises(ValueError, match=r"y: .* there, .* in this fit"):
        part.fit_resample(X, y_other)


def test_augmentation_follows_the_rarest_class(monkeypatch):
    """Its images come up in every second batch, and are memorised however many others there are."""
    seen = []
    monkeypatch.setattr(
        _base_gan, "train_gan", lambda *_, augment, **options: seen.append(augment) or train_gan(*_, **options)
    )
    X, y = make_shapes(180, 0, size=32)
    for n_rare in (20, 80):
        y = np.arange(180) < n_rare
        ConditionalDCGANOverSampler(n_steps=2, base_channels=2, random_state=0).fit_resample(X, y)
    assert seen == [augment_mildly] * 2
    X, y = make_shapes(330, 0, size=32)
    ConditionalDCGANOverSampler(n_steps=2, base_channels=2, random_state=0).fit_resample(X, np.arange(330) < 160)
    assert seen[-1] is None
