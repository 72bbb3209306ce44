"""Losses, the loop, and drawing."""

import math
import pickle

import pytest
import torch

from gan_sampler.networks import Discriminator, Generator
from gan_sampler.training import draw, freeze, train_gan
from gan_sampler.training._losses import discriminator_loss, generator_loss

LOG2 = math.log(2)


def make_players(norm="batch", size=8):
    torch.manual_seed(0)
    shape = (1, size, size)
    return Generator(shape, latent_dim=8, width=4, norm=norm), Discriminator(shape, width=4)


def test_losses_equal_hand_computed_values():
    """Equation 1 and section 3 of Goodfellow et al. at logits whose sigmoids are known."""
    zero, logit = torch.zeros(4), torch.tensor([math.log(3)])  # sigmoids 1/2 and 3/4
    assert discriminator_loss(zero, zero).item() == pytest.approx(2 * LOG2)
    assert generator_loss(zero).item() == pytest.approx(LOG2)
    assert discriminator_loss(logit, -logit).item() == pytest.approx(-2 * math.log(0.75))
    assert generator_loss(logit).item() == pytest.approx(-math.log(0.75))
    assert generator_loss(-logit).item() == pytest.approx(-math.log(0.25))


def test_losses_stay_finite_at_large_logits():
    """A log of a sigmoid would overflow here."""
    large = torch.tensor([1e4])
    assert discriminator_loss(-large, large).item() == pytest.approx(2e4)
    assert generator_loss(-large).item() == pytest.approx(1e4)


def test_generator_learns_the_brightness_of_its_images():
    """The simplest thing a GAN must learn, and an untrained one does not know."""
    images = 0.6 + 0.05 * torch.randn(64, 1, 8, 8)
    untrained = freeze(make_players()[0])
    trained, _ = train_gan(*make_players(), images, n_steps=300, learning_rate=2e-3, ema_decay=0.95)
    error = [abs(torch.cat(list(draw(g, 256))).mean().item() - 0.6) for g in (trained, untrained)]
    assert error[0] < 0.2 < 0.4 < error[1]


def test_history_holds_means_at_each_interval_and_reports_them():
    """A user's plot and progress bar read these."""
    reports = []
    _, history = train_gan(*make_players(), torch.zeros(9, 1, 8, 8), n_steps=120, report=reports.append)
    assert history == reports
    assert [record["step"] for record in history] == [50, 100, 120]
    assert all(set(r) == {"step", "seconds", "loss_discriminator", "loss_generator"} for r in history)
    assert history[0]["seconds"] < history[-1]["seconds"]


def test_max_time_ends_training_early():
    """Whichever comes first, steps or seconds."""
    _, history = train_gan(*make_players(), torch.zeros(9, 1, 8, 8), n_steps=10**6, max_time=0.2)
    assert history[-1]["step"] < 10**5
    assert history[-1]["seconds"] >= 0.2


def test_training_on_two_images_works():
    """The batch is the smaller of batch_size and the number of images."""
    _, history = train_gan(*make_players(), torch.zeros(2, 1, 8, 8), n_steps=3)
    assert history[-1]["step"] == 3


def test_non_finite_loss_raises_and_names_the_step():
    """NaN images must not become NaN weights in silence."""
    with pytest.raises(FloatingPointError, match="no longer finite by step 2"):
        train_gan(*make_players(), torch.full((4, 1, 8, 8), torch.nan), n_steps=2)


def test_the_result_is_the_average_not_the_last_generator():
    """With a decay the average lags behind; with none it is the last one."""
    weights = {}
    for decay in (0.0, 0.9):
        generator, discriminator = make_players()
        average, _ = train_gan(generator, discriminator, torch.zeros(8, 1, 8, 8), n_steps=20, ema_decay=decay)
        weights[decay] = (average.layers[0].weight, generator.layers[0].weight)
    assert torch.allclose(*weights[0.0])
    assert not torch.allclose(*weights[0.9])


def test_discriminator_is_trainable_again_after_each_step():
    """Its gradients are switched off while the generator learns; both players must move."""
    generator, discriminator = make_players()
    before = [p.clone() for p in (*generator.parameters(), *discriminator.parameters())]
    train_gan(generator, discriminator, torch.rand(8, 1, 8, 8), n_steps=3)
    after = [*generator.parameters(), *discriminator.parameters()]
    assert all(not torch.equal(b, a) for b, a in zip(before, after, strict=True))
    assert all(p.requires_grad for p in discriminator.parameters())


@pytest.mark.parametrize("norm", ["batch", "spectral", None])
def test_frozen_generator_pickles_and_draws_the_same(norm):
    """Spectral normalisation is a parametrisation, which torch does not pickle, so it is folded in."""
    generator = freeze(make_players(norm)[0])
    noise = torch.randn(4, 8)
    again = pickle.loads(pickle.dumps(generator))
    assert torch.equal(again(noise), generator(noise))
    assert not generator.training
    assert not any(p.requires_grad for p in generator.parameters())


def test_running_statistics_are_those_of_the_frozen_weights():
    """Images drawn one by one must look like those drawn in a training batch."""
    generator = make_players()[0]
    with torch.no_grad():
        for module in generator.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_mean.fill_(3.0)  # statistics of no network that ever ran
    freeze(generator)
    noise = torch.randn(512, 8)
    alone = generator(noise)
    together = generator.train()(noise)
    assert (alone - together).abs().mean() < 0.1 * together.std()


@pytest.mark.parametrize("n_images", [0, 1, 7, 8, 9])
def test_draw_gives_exactly_as_many_as_asked_for(n_images):
    """Batches that do not add up would leave rows unfilled."""
    batches = list(draw(freeze(make_players()[0]), n_images, batch_size=4))
    assert sum(map(len, batches)) == n_images
    assert all(len(batch) <= 4 for batch in batches)
