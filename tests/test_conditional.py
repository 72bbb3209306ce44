"""One generator for all classes, told which to draw."""

import numpy as np
import pytest
import torch
from conftest import make_shapes

from gan_sampler import ConditionalDCGANOverSampler
from gan_sampler.networks import ConditionalGenerator, Discriminator, GeneratorOfOneClass, ProjectionDiscriminator
from gan_sampler.training import PixelFrechetDistance, PixelFrechetDistanceByClass, train_gan
from gan_sampler.training._losses import NON_SATURATING
from gan_sampler.training._state import TrainingState
from gan_sampler.training._step import discriminator_gradients, generate, generator_gradients, one_pass_gradients

SHAPE = (1, 16, 16)


def make_players(n_classes=3):
    torch.manual_seed(0)
    generator = ConditionalGenerator(SHAPE, n_classes, latent_dim=8, width=4)
    return generator, ProjectionDiscriminator(SHAPE, n_classes, width=4)


def test_class_changes_image_and_logit_and_gradients_reach_its_vector():
    """A class that the networks do not hear of cannot be asked for."""
    generator, discriminator = make_players()
    noise, classes = torch.randn(1, 8).expand(3, -1), torch.arange(3)
    images = generator.eval()(noise, classes)
    assert all((images[0] - other).abs().max() > 1e-4 for other in images[1:])
    logits = discriminator(images[:1].expand(3, -1, -1, -1), classes)
    assert len(logits.unique()) == 3
    generator.train()
    discriminator(generator(torch.randn(6, 8), classes.repeat(2)), classes.repeat(2)).sum().backward()
    for network in (generator, discriminator):
        assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())


def test_projection_is_added_to_the_unconditional_logit():
    """Equation 3 of Miyato and Koyama: a linear term of the features, and their product with the class's vector."""
    _, discriminator = make_players()
    images, classes = torch.randn(4, *SHAPE), torch.tensor([0, 1, 2, 1])
    plain = Discriminator(SHAPE, width=4)
    plain.load_state_dict(discriminator.unconditional.state_dict())
    expected = plain(images) + torch.stack(
        [plain.features(images)[i] @ discriminator.class_vectors.weight[c] for i, c in enumerate(classes)]
    )
    torch.testing.assert_close(discriminator(images, classes), expected)


def test_one_pass_gives_the_gradients_of_two():
    """Being told the class couples no images."""
    generator, discriminator = (player.double() for player in make_players())
    players, real, noise = (generator, discriminator), torch.randn(6, *SHAPE).double(), torch.randn(6, 8).double()
    how = {"loss": NON_SATURATING, "augment": torch.nn.Identity(), "classes": torch.tensor([0, 1, 2, 2, 1, 0])}
    one_pass_gradients(generator, discriminator, real, noise, **how)
    gradients = [parameter.grad.clone() for player in players for parameter in player.parameters()]
    for player in players:
        player.zero_grad()
    fake = generate(generator, noise, how["classes"])
    discriminator_gradients(discriminator, real, fake, **how)
    generator_gradients(discriminator, fake, **how)
    expected = [parameter.grad for player in players for parameter in player.parameters()]
    for gradient, other in zip(gradients, expected, strict=True):
        torch.testing.assert_close(gradient, other, rtol=0, atol=1e-10)


def test_every_class_is_shown_equally_often():
    """Else a class of one image in a hundred would be seen once in six batches."""
    torch.manual_seed(0)
    classes = torch.tensor([0] * 20 + [1] * 3 + [2] * 7)
    state = TrainingState(*make_players(), learning_rates=(1e-3, 1e-3), beta_1=0.5, n_images=30, classes=classes)
    rows = torch.cat([state.next_rows(10) for _ in range(6)])
    assert classes[rows].bincount().tolist() == [20, 20, 20]
    assert rows.bincount()[:20].tolist() == [1] * 20
    assert sorted(rows.bincount()[20:23].tolist()) == [6, 7, 7]


def test_score_is_the_mean_over_classes_and_diversity_of_each():
    """The snapshot that is kept must serve all of them, and a warning name the right one."""
    torch.manual_seed(0)
    images = torch.cat([0.1 * torch.randn(40, *SHAPE), 0.5 + 0.1 * torch.randn(30, *SHAPE)])
    classes = torch.tensor([0] * 40 + [1] * 30)
    score = PixelFrechetDistanceByClass(images, classes, [0, 1])
    assert score.n_images == len(score.classes) == 512
    drawn = 0.1 * torch.randn(512, *SHAPE)
    drawn[score.classes == 1] *= 0.1
    alone = [PixelFrechetDistance(images[classes == i])(drawn[score.classes == i]) for i in (0, 1)]
    found = score(drawn)
    assert found["score"] == pytest.approx(np.mean([record["score"] for record in alone]))
    assert [found["diversity_0"], found["diversity_1"]] == [record["diversity"] for record in alone]
    only_one = PixelFrechetDistanceByClass(images, classes, [1])(drawn)
    assert only_one == {"score": pytest.approx(alone[1]["score"]), "diversity_1": alone[1]["diversity"]}


def test_images_scored_are_those_that_will_be_drawn():
    """Batch normalisation over the scored class alone would show images of a generator that nobody gets."""
    images = torch.cat([torch.full((8, *SHAPE), -0.5), torch.full((8, *SHAPE), 0.5)])
    images += 0.02 * torch.randn(images.shape)
    classes = torch.tensor([0] * 8 + [1] * 8)
    score, seen = PixelFrechetDistanceByClass(images, classes, [1]), []

    def watch(drawn):
        seen.append(drawn[score.classes == 1].mean().item())
        return score(drawn)

    watch.n_images, watch.classes = score.n_images, score.classes
    how = {"n_steps": 200, "learning_rate": 2e-3, "ema_decay": 0.9}
    frozen, history = train_gan(*make_players(2), images, classes=classes, score=watch, **how)
    best = min(range(len(history)), key=lambda i: history[i]["score"])
    drawn = GeneratorOfOneClass(frozen, 1)(torch.randn(256, 8)).mean().item()
    assert drawn == pytest.approx(seen[best], abs=0.1)


def test_a_fixed_class_draws_what_the_class_draws():
    """What is taken out is what was trained."""
    generator, _ = make_players()
    generator.eval()
    noise = torch.randn(5, 8)
    torch.testing.assert_close(GeneratorOfOneClass(generator, 2)(noise), generator(noise, torch.full((5,), 2)))


def test_statistics_of_the_frozen_generator_are_those_of_all_classes():
    """Batches of training hold all of them; those of one class would shift its images."""
    images = torch.cat([torch.full((8, *SHAPE), -0.5), torch.full((8, *SHAPE), 0.5)])
    classes = torch.tensor([0] * 8 + [1] * 8)
    generator, discriminator = make_players(2)
    frozen, _ = train_gan(
        generator, discriminator, images, classes=classes, n_steps=200, learning_rate=2e-3, ema_decay=0.9
    )
    dark, light = (GeneratorOfOneClass(frozen, i)(torch.randn(32, 8)).mean().item() for i in (0, 1))
    assert dark < -0.25 < 0.25 < light


@pytest.fixture(scope="module")
def fitted():
    """A sampler that had time to tell squares from discs."""
    sampler = ConditionalDCGANOverSampler(n_steps=250, width=8, ema_decay=0.98, synthetic_classes="all", random_state=0)
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
    whole = ConditionalDCGANOverSampler(n_steps=100, width=4, random_state=0)
    expected, _ = whole.fit_resample(X, y)
    part = ConditionalDCGANOverSampler(n_steps=50, width=4, random_state=0, checkpoint_dir=tmp_path)
    part.fit_resample(X, y)
    found, _ = part.set_params(n_steps=100).fit_resample(X, y)
    np.testing.assert_array_equal(found, expected)
    with pytest.raises(ValueError, match=r"classes over-sampled: \[1\] there, \[0\] in this fit"):
        part.set_params(sampling_strategy={"disc": 30}).fit_resample(X, y)
    part.set_params(sampling_strategy="auto")
    y_other = y.copy()
    y_other[np.flatnonzero(y == "disc")[0]] = "square"
    with pytest.raises(ValueError, match=r"y: .* there, .* in this fit"):
        part.fit_resample(X, y_other)
