"""The loop, and drawing."""

import pickle

import pytest
import torch
from conftest import KeptStates

from gan_sampler.networks import Discriminator, Generator
from gan_sampler.training import (
    LOSSES,
    augment_mildly,
    brighten,
    draw,
    freeze,
    rank,
    stretch_contrast,
    train_gan,
    translate,
)


def make_networks(norm="batch", size=8):
    torch.manual_seed(0)
    shape = (1, size, size)
    return Generator(shape, latent_dim=8, base_channels=4, norm=norm), Discriminator(shape, base_channels=4)


def test_generator_learns_the_brightness_of_its_images():
    """The simplest thing a GAN must learn, and an untrained one does not know."""
    images = 0.6 + 0.05 * torch.randn(64, 1, 8, 8)
    untrained = freeze(make_networks()[0])
    trained, _ = train_gan(*make_networks(), images, n_steps=300, learning_rate=2e-3, ema_decay=0.95)
    error = [abs(torch.cat(list(draw(g, 256))).mean().item() - 0.6) for g in (trained, untrained)]
    assert error[0] < 0.2 < 0.4 < error[1]


def test_history_holds_means_at_each_interval_and_reports_them():
    """A user's plot and progress bar read these."""
    reports = []
    _, history = train_gan(*make_networks(), torch.zeros(9, 1, 8, 8), n_steps=120, report=reports.append)
    assert history == reports
    assert [record["step"] for record in history] == [50, 100, 120]
    assert all(set(r) == {"step", "seconds", "loss_discriminator", "loss_generator"} for r in history)
    assert history[0]["seconds"] < history[-1]["seconds"]


def test_max_time_ends_training_early():
    """Whichever comes first, steps or seconds."""
    _, history = train_gan(*make_networks(), torch.zeros(9, 1, 8, 8), n_steps=10**6, max_time=0.2)
    assert history[-1]["step"] < 10**5
    assert history[-1]["seconds"] >= 0.2


def test_training_on_two_images_works():
    """The batch is the smaller of batch_size and the number of images."""
    _, history = train_gan(*make_networks(), torch.zeros(2, 1, 8, 8), n_steps=3)
    assert history[-1]["step"] == 3


class TestGoingBack:
    """What is done about numbers that are no longer finite."""

    def test_one_broken_batch_is_taken_back_with_half_the_learning_rate(self):
        """The history tells nothing of the steps that were undone, and the result is sound."""
        calls = []

        def break_once(images, generator):
            calls.append(len(images))
            return images * torch.nan if len(calls) == 150 else images  # two calls a step

        states = KeptStates()
        average, history = train_gan(
            *make_networks(),
            torch.rand(8, 1, 8, 8),
            n_steps=150,
            augment=break_once,
            checkpoint=states,
        )
        assert [record["step"] for record in history] == [50, 100, 150]
        assert [progress["n_rollbacks"] for _, progress in states] == [0, 1, 1]
        assert len(calls) == 2 * (50 + 50 + 100)
        assert all(p.isfinite().all() for p in average.parameters())

    def test_steps_are_half_as_long_afterwards(self):
        """A weight that Adam moves by its learning rate at the first step shows it."""
        moved = []
        for broken_calls in (0, 2):
            generator, discriminator = make_networks()
            before, calls = generator.layers[0].weight.clone(), []

            def augment(images, generator, calls=calls, broken_calls=broken_calls):
                calls.append(1)
                return images * torch.nan if len(calls) <= broken_calls else images

            train_gan(generator, discriminator, torch.rand(8, 1, 8, 8), n_steps=1, augment=augment)
            moved.append((generator.layers[0].weight - before).abs().max().item())
        assert moved[1] == pytest.approx(moved[0] / 2, rel=1e-3)

    def test_what_does_not_heal_raises_and_names_the_step(self):
        """NaN images must not become NaN weights in silence."""
        with pytest.raises(FloatingPointError, match="beyond all reason by step 2, also after going back 3 times"):
            train_gan(*make_networks(), torch.full((4, 1, 8, 8), torch.nan), n_steps=2)

    def test_losses_beyond_reason_are_no_training(self):
        """A network that exploded to large numbers draws one pattern, and finite losses would let it pass."""
        with pytest.raises(FloatingPointError, match="beyond all reason"):
            train_gan(*make_networks(), torch.rand(8, 1, 8, 8), n_steps=100, learning_rate=100.0)


class TestSnapshots:
    """The best average is kept, by a score on its images."""

    class Scripted:
        n_images = 4

        def __init__(self, *scores, spectral_distances=()):
            self.scores, self.spectral_distances, self.seen = list(scores), list(spectral_distances), []

        def __call__(self, images):
            self.seen.append(images.clone())
            spectral = {"spectral_distance": self.spectral_distances.pop(0)} if self.spectral_distances else {}
            return {"score": self.scores.pop(0), "variance_ratio": 1.0, **spectral}

    def test_best_is_returned_not_the_last(self):
        """The best of three scores is the second: the result equals a training that ended there."""
        images = torch.rand(8, 1, 8, 8)
        best, history = train_gan(*make_networks(), images, n_steps=150, score=self.Scripted(3.0, 1.0, 2.0))
        stopped, _ = train_gan(*make_networks(), images, n_steps=100, score=self.Scripted(3.0, 1.0))
        last, _ = train_gan(*make_networks(), images, n_steps=150, score=self.Scripted(3.0, 2.0, 1.0))
        assert [record["score"] for record in history] == [3.0, 1.0, 2.0]
        assert torch.equal(best.layers[0].weight, stopped.layers[0].weight)
        assert not torch.equal(best.layers[0].weight, last.layers[0].weight)

    def test_usable_images_are_kept_before_unusable_ones_of_a_better_score(self):
        """The score does not see speckle, which may come late."""
        images = torch.rand(8, 1, 8, 8)
        score = self.Scripted(3.0, 2.0, 1.0, spectral_distances=[0.1, 0.1, 2.0])
        best, history = train_gan(*make_networks(), images, n_steps=150, score=score)
        stopped, _ = train_gan(*make_networks(), images, n_steps=100, score=self.Scripted(3.0, 2.0))
        assert torch.equal(best.layers[0].weight, stopped.layers[0].weight)
        assert min(history, key=rank) is history[1]

    def test_training_ends_when_the_score_no_longer_falls(self):
        """scikit-learn's n_iter_no_change, counted in reports."""
        score = self.Scripted(3.0, 2.0, 2.5, 2.0, 1.0)
        _, history = train_gan(*make_networks(), torch.rand(8, 1, 8, 8), n_steps=500, n_iter_no_change=2, score=score)
        assert [record["step"] for record in history] == [50, 100, 150, 200]

    def test_each_score_is_of_images_of_the_same_noise(self):
        """Else luck in the noise would choose the snapshot; with no step between them two scores see the same."""
        score = self.Scripted(3.0, 2.0)
        train_gan(*make_networks(), torch.rand(8, 1, 8, 8), n_steps=100, learning_rate=1e-30, score=score)
        assert torch.allclose(*score.seen, atol=1e-5)


def test_the_result_is_the_average_not_the_last_generator():
    """With a decay the average lags behind; with none it is the last one."""
    weights = {}
    for decay in (0.0, 0.9):
        generator, discriminator = make_networks()
        average, _ = train_gan(generator, discriminator, torch.zeros(8, 1, 8, 8), n_steps=20, ema_decay=decay)
        weights[decay] = (average.layers[0].weight, generator.layers[0].weight)
    assert torch.allclose(*weights[0.0])
    assert not torch.allclose(*weights[0.9])


def test_bytes_and_floats_train_alike(shapes):
    """Images kept as uint8 are normalised on the device, batch by batch."""
    X = torch.from_numpy(shapes[0])[:, None]
    weights = [
        train_gan(*make_networks(size=12), images, n_steps=5)[0].layers[0].weight for images in (X, X / 127.5 - 1)
    ]
    assert torch.equal(*weights)


def test_another_loss_and_a_penalty_take_part(shapes):
    """What a method adds to the game: here a loss that needs two passes, and a penalty on the logits' size."""
    seen = []

    def penalty(discriminator, real, step):
        seen.append(step)
        discriminator(real).square().mean().backward()

    images = torch.from_numpy(shapes[0])[:, None]
    results = [
        train_gan(*make_networks(size=12), images, n_steps=4, **options)[0].layers[0].weight
        for options in ({}, {"loss": LOSSES["hinge"]}, {"loss": LOSSES["hinge"], "penalty": penalty})
    ]
    assert seen == [1, 2, 3, 4]
    assert not torch.equal(results[0], results[1])
    assert not torch.equal(results[1], results[2])


@pytest.mark.parametrize("norm", ["batch", "spectral", None])
def test_frozen_generator_pickles_and_draws_the_same(norm):
    """Spectral normalisation is a parametrisation, which torch does not pickle, so it is folded in."""
    generator = freeze(make_networks(norm)[0])
    noise = torch.randn(4, 8)
    again = pickle.loads(pickle.dumps(generator))
    assert torch.equal(again(noise), generator(noise))
    assert not generator.training
    assert not any(p.requires_grad for p in generator.parameters())


def test_running_statistics_are_those_of_the_frozen_weights():
    """Images drawn one by one must look like those drawn in a training batch."""
    generator = make_networks()[0]
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
    batches = list(draw(freeze(make_networks()[0]), n_images, batch_size=4))
    assert sum(map(len, batches)) == n_images
    assert all(len(batch) <= 4 for batch in batches)


class TestAugmentation:
    """Changes of images that gradients pass, each image by numbers of its own."""

    def test_translation_shifts_each_image_by_up_to_an_eighth(self):
        """Nothing is lost but what leaves the frame, and what comes in is mid-grey."""
        torch.manual_seed(0)
        images = torch.zeros(200, 1, 16, 24)
        images[:, :, 8, 12] = 1
        places = translate(images).nonzero()
        assert len(places) == 200
        assert set((places[:, 2] - 8).tolist()) == set(range(-2, 3))
        assert set((places[:, 3] - 12).tolist()) == set(range(-3, 4))
        assert translate(torch.ones(200, 1, 16, 24)).unique().tolist() == [0, 1]

    def test_brightness_and_contrast_stay_within_their_reach(self):
        """The mean moves under the one, and only the distances from it under the other."""
        torch.manual_seed(0)
        images = torch.randn(500, 3, 8, 8) * 0.3
        moved = (brighten(images, 0.1) - images).flatten(1)
        assert moved.std(1).max() < 1e-6
        assert moved.abs().max() <= 0.1 + 1e-6
        assert moved.min() < -0.08
        assert moved.max() > 0.08
        stretched = stretch_contrast(images, 0.2)
        torch.testing.assert_close(stretched.mean((1, 2, 3)), images.mean((1, 2, 3)), atol=1e-5, rtol=0)
        factors = stretched.std((1, 2, 3)) / images.std((1, 2, 3))
        assert 0.8 - 1e-3 <= factors.min() < 0.83
        assert 1.17 < factors.max() <= 1.2 + 1e-3

    def test_gradients_pass_to_the_image_they_came_from(self):
        """Without them the generator would learn nothing; what left the frame gets none."""
        images = torch.rand(4, 1, 16, 16, requires_grad=True)
        changed = augment_mildly(images)
        assert changed.shape == images.shape
        (gradient,) = torch.autograd.grad(changed[2].sum(), images)
        assert gradient[2].abs().sum() > 100
        assert gradient[[0, 1, 3]].abs().sum() == 0
