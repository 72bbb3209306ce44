"""Losses, and the gradients of one update."""

import copy
import math

import pytest
import torch
from conftest import make_patch_discriminator
from torch import nn

from gan_sampler.networks import Discriminator, Generator, ProjectionDiscriminator
from gan_sampler.training import LOSSES, Loss, check_loss, train_gan
from gan_sampler.training._losses import NON_SATURATING, discriminator_loss, generator_loss
from gan_sampler.training._step import (
    allows_one_pass,
    discriminator_gradients,
    generate,
    generator_gradients,
    one_pass_gradients,
    train_mode,
)

LOG2 = math.log(2)
SHAPE = (1, 16, 16)
IMAGES = torch.zeros(2, *SHAPE, dtype=torch.uint8)


def make_networks(shape=(1, 8, 8), norm=None):
    torch.manual_seed(0)
    return Generator(shape, latent_dim=8, base_channels=4), Discriminator(shape, base_channels=4, norm=norm)


def gradients_of(*networks):
    return [parameter.grad.clone() for network in networks for parameter in network.parameters()]


def two_pass_gradients(generator, discriminator, real, noise, precision="auto", **options):
    """Both through the discriminator as it was before the update, as in one pass."""
    fake, options = generate(generator, noise, precision=precision), {**options, "precision": precision}
    return torch.stack(
        [
            discriminator_gradients(discriminator, real, fake, **options),
            generator_gradients(discriminator, fake, **options),
        ]
    )


class MinibatchDeviation(nn.Module):
    """As in Karras et al. 2018: the mean standard deviation over the batch, beside every image's features."""

    def __init__(self, discriminator):
        super().__init__()
        self.discriminator = discriminator
        self.weight = nn.Parameter(torch.tensor(30.0))

    def forward(self, images):
        """Images to logits (n,)."""
        deviation = images.var(0, correction=0).add(1e-8).sqrt().mean()
        return self.discriminator(images) + self.weight * deviation


class Column(nn.Module):
    """A discriminator that ends in a dense layer, as many do: logits of shape (n, 1)."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(256, 1))

    def forward(self, images):
        """Images to logits (n, 1)."""
        return self.layers(images)


class TestLosses:
    """Functions of logits, against values computed by hand."""

    def test_non_saturating(self):
        """Equation 1 and section 3 of Goodfellow et al. at logits whose sigmoids are known."""
        zero, logit = torch.zeros(4), torch.tensor([math.log(3)])  # sigmoids 1/2 and 3/4
        assert discriminator_loss(zero, zero).item() == pytest.approx(2 * LOG2)
        assert generator_loss(zero).item() == pytest.approx(LOG2)
        assert discriminator_loss(logit, -logit).item() == pytest.approx(-2 * math.log(0.75))
        assert generator_loss(logit).item() == pytest.approx(-math.log(0.75))
        assert generator_loss(-logit).item() == pytest.approx(-math.log(0.25))

    def test_non_saturating_stays_finite_at_large_logits(self):
        """A log of a sigmoid would overflow here."""
        large = torch.tensor([1e4])
        assert discriminator_loss(-large, large).item() == pytest.approx(2e4)
        assert generator_loss(-large).item() == pytest.approx(1e4)

    def test_hinge_and_least_squares(self):
        """At logits 2 and -1 of real and 3 and 0 of generated images."""
        real, fake = torch.tensor([2.0, -1.0]), torch.tensor([3.0, 0.0])
        hinge, squares = LOSSES["hinge"], LOSSES["least_squares"]
        assert hinge.discriminator(real, fake).item() == pytest.approx((0 + 2) / 2 + (4 + 1) / 2)
        assert hinge.generator(fake).item() == pytest.approx(-1.5)
        assert squares.discriminator(real, fake).item() == pytest.approx((1 + 4) / 4 + 9 / 4)
        assert squares.generator(fake).item() == pytest.approx((4 + 1) / 4)

    @pytest.mark.parametrize("name", LOSSES)
    def test_both_networks_pull_a_generated_logit_in_opposite_directions(self, name):
        """Else it is no game."""
        fake = torch.tensor([0.5, 0.2], requires_grad=True)
        loss = check_loss(name)
        (of_discriminator,) = torch.autograd.grad(loss.discriminator(torch.zeros(2), fake), fake)
        (of_generator,) = torch.autograd.grad(loss.generator(fake), fake)
        assert (of_discriminator > 0).all()
        assert (of_generator < 0).all()

    @pytest.mark.parametrize("loss", ["wasserstein", None, generator_loss])
    def test_what_is_no_loss_is_refused_by_the_argument_it_came_as(self, loss):
        """With the names there are."""
        with pytest.raises(ValueError, match=r"adversarial_loss must be one of 'non_saturating', 'hinge', .*; got"):
            check_loss(loss, "adversarial_loss")

    def test_a_new_loss_is_one_constructor_call(self):
        """Under no_grad too, as a parameter is checked anywhere."""
        toy = Loss("toy", lambda real, fake: (fake - real).mean(), lambda fake: -fake.mean(), one_pass=True)
        with torch.no_grad():
            assert check_loss(toy) is toy

    @pytest.mark.parametrize("name", ["hinge", "least_squares"])
    def test_a_loss_that_does_not_rise_with_every_generated_logit_allows_no_single_pass(self, name):
        """There is no slope to scale up where the hinge is flat, nor where the square is at its minimum."""
        loss = LOSSES[name]
        with pytest.raises(ValueError, match=rf"loss may have one_pass=True only if .* '{name}' has the derivative"):
            check_loss(Loss(name, loss.discriminator, loss.generator, one_pass=True))

    def test_a_loss_that_falls_with_generated_logits_allows_no_single_pass(self):
        """The documentation once asked for this."""
        falling = Loss("falling", lambda real, fake: -fake.mean(), generator_loss, one_pass=True)
        with pytest.raises(ValueError, match=r"increases strictly .* 'falling' has the derivative -0.038"):
            check_loss(falling)

    @pytest.mark.parametrize(
        "others", [lambda real, fake: real.mean(), lambda real, fake: fake.mean(), lambda real, fake: fake.amax()]
    )
    def test_slopes_that_depend_on_other_logits_allow_no_single_pass(self, others):
        """As in relativistic losses: what a grid of logits shows would say nothing of another batch."""
        loss = Loss("coupled", lambda real, fake: (fake - others(real, fake)).exp().mean(), generator_loss, True)
        with pytest.raises(
            ValueError, match=r"'coupled' has (derivatives that depend on the other logits|the derivative)"
        ):
            check_loss(loss)

    def test_identity_tells_losses_apart_in_plain_values(self):
        """For checkpoints; those of this package are known by their names and its version."""
        identities = [loss.identity for loss in LOSSES.values()]
        assert identities[0]["discriminator"] == "gan_sampler.training._losses.discriminator_loss"
        assert len({str(identity) for identity in identities}) == len(LOSSES)


class TestOnePass:
    """One pass through the discriminator gives what the ordinary two give."""

    @pytest.mark.parametrize("channels", [1, 3])
    @pytest.mark.parametrize("scale", [1.0, 30.0])
    def test_gradients_are_those_of_two(self, channels, scale):
        """In float64 to 1e-10, also for logits of a discriminator that is all but certain."""
        shape = (channels, 16, 16)
        generator, discriminator = (network.double() for network in make_networks(shape))
        with torch.no_grad():
            discriminator.layers[-1].weight *= scale
        batch = torch.randn(6, *shape).double(), torch.randn(6, 8).double()
        options = {"loss": NON_SATURATING, "augment": lambda images: images.roll(1, 2)}

        losses = one_pass_gradients(generator, discriminator, *batch, **options)
        gradients = gradients_of(generator, discriminator)
        generator.zero_grad(), discriminator.zero_grad()
        expected_losses = two_pass_gradients(generator, discriminator, *batch, **options)
        expected = gradients_of(generator, discriminator)

        assert max(gradient.abs().max() for gradient in expected) > 1e-3
        for gradient, other in zip(gradients, expected, strict=True):
            torch.testing.assert_close(gradient, other, rtol=0, atol=1e-10)
        torch.testing.assert_close(losses, expected_losses, rtol=0, atol=1e-10)

    LOGITS = [-1000, -300, -120, -100, -88, -75, -70, -69, -60, -46, -30, -5, 0, 5, 30, 60, 80, 120, 1000]

    class Free(nn.Module):
        """A generator of free images, so that the gradient of each can be read."""

        def __init__(self, images):
            super().__init__()
            self.images = nn.Parameter(images)

        def forward(self, noise):
            """Return the images, whatever the noise."""
            return self.images.clone()

    class Moved(nn.Module):
        """A discriminator whose logits are moved to where a test wants them."""

        def __init__(self, discriminator, logits):
            super().__init__()
            self.discriminator = discriminator
            self.register_buffer("logits", torch.tensor(logits, dtype=torch.float32))

        def forward(self, images):
            """Images to logits (n,)."""
            return self.discriminator(images) + self.logits

    @pytest.mark.parametrize(("precision", "tolerance"), [("float32", 1e-5), ("bfloat16", 0.03)])
    @pytest.mark.parametrize("logits", [LOGITS, *([logit] * 4 for logit in (-1000, -100, -70, 70))], ids=str)
    def test_every_logit_keeps_its_gradient(self, logits, precision, tolerance):
        """A sigmoid of -70 is 4e-31: each image's gradient is that of two passes, by themselves and mixed."""
        n, options = len(logits), {"loss": NON_SATURATING, "augment": nn.Identity(), "precision": precision}
        torch.manual_seed(0)
        generator = self.Free(torch.randn(n, *SHAPE))
        discriminator = self.Moved(Discriminator(SHAPE, base_channels=8), logits)
        twins, real = (copy.deepcopy(generator), copy.deepcopy(discriminator)), torch.randn(n, *SHAPE)
        if precision == "bfloat16":  # as emulated by the CPU
            two_pass_gradients(*twins, real, torch.zeros(n, 1), **options)
        else:
            two_pass_gradients(*(twin.double() for twin in twins), real.double(), torch.zeros(n, 1), **options)
        one_pass_gradients(generator, discriminator, real, torch.zeros(n, 1), **options)

        gradient, expected = generator.images.grad.flatten(1), twins[0].images.grad.flatten(1)
        errors, sizes = (gradient - expected).norm(dim=1), expected.norm(dim=1)
        assert (errors <= tolerance * sizes + 1e-30).all()
        assert (sizes[torch.tensor(logits) < -60] > 1e-3).all()
        for one, other in zip(gradients_of(discriminator), gradients_of(twins[1]), strict=True):
            assert (one - other).abs().max() <= tolerance * other.abs().max() + 1e-15

    def test_a_certain_discriminator_stays_where_it_is(self):
        """What keeps the generator's gradient alive must not move the discriminator, even by Adam's first update."""
        torch.manual_seed(0)
        generator = self.Free(torch.randn(4, *SHAPE))
        discriminator = self.Moved(Discriminator(SHAPE, base_channels=8), [0.0] * 4)
        adam = torch.optim.Adam(discriminator.parameters(), lr=1e-3)
        before = [parameter.detach().clone() for parameter in discriminator.parameters()]
        signs = iter((1, -1))
        discriminator.register_forward_hook(lambda module, images, logits: logits + 1000 * next(signs))
        options = {"loss": NON_SATURATING, "augment": nn.Identity()}
        one_pass_gradients(generator, discriminator, torch.randn(4, *SHAPE), torch.zeros(4, 1), **options)
        adam.step()
        assert generator.images.grad.norm() > 1e-3
        for parameter, old in zip(discriminator.parameters(), before, strict=True):
            torch.testing.assert_close(parameter.detach(), old, rtol=0, atol=1e-10)

    def test_coupled_images_would_get_wrong_gradients(self):
        """Which is why the discriminator is asked before."""
        generator, discriminator = make_networks()
        discriminator = MinibatchDeviation(discriminator)
        options, batch = {"loss": NON_SATURATING, "augment": nn.Identity()}, (torch.rand(4, 1, 8, 8), torch.randn(4, 8))
        gradients = []
        for update in (one_pass_gradients, two_pass_gradients):
            generator.zero_grad()
            update(generator, discriminator, *batch, **options)
            gradients.append(torch.cat([gradient.flatten() for gradient in gradients_of(generator)]))
        assert (gradients[0] - gradients[1]).norm() > 0.01 * gradients[1].norm()

    def test_several_logits_an_image_are_refused(self):
        """The ratio of slopes is one number an image."""
        generator, _ = make_networks(SHAPE)
        with pytest.raises(ValueError, match=r"discriminator must give one logit .* shape \(3, 1, 5, 5\) for 3 images"):
            one_pass_gradients(
                generator,
                make_patch_discriminator(SHAPE, base_channels=2),
                torch.rand(3, *SHAPE),
                torch.randn(3, 8),
                loss=NON_SATURATING,
                augment=nn.Identity(),
            )

    def test_logits_in_a_column_will_do(self):
        """Shape (n, 1), to 1e-6 of two passes."""
        generator, _ = make_networks(SHAPE)
        discriminator, gradients = Column(), []
        batch = torch.rand(3, *SHAPE), torch.randn(3, 8)
        for update in (one_pass_gradients, two_pass_gradients):
            generator.zero_grad(), discriminator.zero_grad()
            update(generator, discriminator, *batch, loss=NON_SATURATING, augment=nn.Identity())
            gradients.append(gradients_of(generator, discriminator))
        for one, two in zip(*gradients, strict=True):
            torch.testing.assert_close(one, two, rtol=0, atol=1e-6)


def freeze_norms(discriminator):
    for module in discriminator.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
    return discriminator


class TestAllowsOnePass:
    """Decided by what a backward pass shows, not by the types of modules."""

    @pytest.mark.parametrize(
        ("make", "allowed"),
        [
            (lambda: Discriminator(SHAPE, base_channels=4), True),
            (lambda: Discriminator(SHAPE, base_channels=4, norm="spectral"), True),
            (lambda: Discriminator(SHAPE, base_channels=4, dropout=0.9), True),
            (lambda: Discriminator(SHAPE, base_channels=4, norm="batch"), False),
            (lambda: Discriminator(SHAPE, base_channels=4, norm="batch").eval(), False),  # training will wake it
            (lambda: freeze_norms(Discriminator(SHAPE, base_channels=4, norm="batch")), True),
            (lambda: MinibatchDeviation(Discriminator(SHAPE, base_channels=4)), False),
            (lambda: make_patch_discriminator(SHAPE, base_channels=4), False),
            (Column, True),
        ],
    )
    def test_depends_on_what_the_logits_depend_on(self, make, allowed):
        """Frozen batch normalisation couples nothing, and a module of one's own may."""
        torch.manual_seed(0)
        assert allows_one_pass(make(), IMAGES, loss=NON_SATURATING) == allowed

    def test_the_loss_must_allow_it_too(self):
        """One with flat parts has no slope to scale."""
        assert not allows_one_pass(Discriminator(SHAPE, base_channels=4), IMAGES, loss=LOSSES["hinge"])

    def test_class_conditional_discriminators_are_asked_for_one_class(self):
        """Which class does not matter: its vector is added for each image by itself."""
        discriminator = ProjectionDiscriminator(SHAPE, 3, base_channels=4)
        assert allows_one_pass(discriminator, IMAGES, loss=NON_SATURATING, index=2)

    @pytest.mark.parametrize("norm", ["batch", "spectral"])
    def test_asking_leaves_no_trace(self, norm):
        """Neither in running statistics, power iterations, gradients and modes, nor in the random stream."""
        discriminator = Discriminator(SHAPE, base_channels=4, norm=norm, dropout=0.5).eval()
        before, stream = copy.deepcopy(discriminator.state_dict()), torch.get_rng_state()
        allows_one_pass(discriminator, IMAGES, loss=NON_SATURATING)
        assert torch.equal(torch.get_rng_state(), stream)
        assert all(torch.equal(value, before[name]) for name, value in discriminator.state_dict().items())
        assert not any(module.training for module in discriminator.modules())
        assert all(parameter.grad is None for parameter in discriminator.parameters())


class TestTwoPasses:
    """The ordinary way, for any discriminator."""

    def test_the_discriminator_gets_no_gradient_from_the_generators_loss(self):
        """It would be added to its next update."""
        generator, discriminator = make_networks()
        generator_gradients(discriminator, generator(torch.randn(4, 8)), loss=NON_SATURATING, augment=torch.abs)
        assert all(parameter.grad is None and parameter.requires_grad for parameter in discriminator.parameters())
        assert all(parameter.grad.abs().sum() > 0 for parameter in generator.parameters())

    def test_frozen_layers_stay_frozen(self):
        """A pretrained layer that its user froze must not start to learn after the first step."""
        generator, discriminator = make_networks(norm="batch")
        discriminator.layers[0].requires_grad_(False)
        flags = [parameter.requires_grad for parameter in discriminator.parameters()]
        two_pass_gradients(
            generator, discriminator, torch.rand(4, 1, 8, 8), torch.randn(4, 8), loss=NON_SATURATING, augment=torch.abs
        )
        assert [parameter.requires_grad for parameter in discriminator.parameters()] == flags
        assert [parameter.grad is not None for parameter in discriminator.parameters()] == flags

    @pytest.mark.parametrize("name", LOSSES)
    def test_patches_count_alike(self, name):
        """The loss is the mean over the patches of all images, and its gradient reaches both networks."""
        generator, _ = make_networks(SHAPE)
        discriminator = make_patch_discriminator(SHAPE, base_channels=2)
        loss, real, noise = LOSSES[name], torch.rand(3, *SHAPE), torch.randn(3, 8)
        fake = generate(generator, noise)
        options = {"loss": loss, "augment": nn.Identity()}
        patches = [discriminator(images).detach().flatten() for images in (real, fake)]
        of_discriminator = discriminator_gradients(discriminator, real, fake, **options)
        of_generator = generator_gradients(discriminator, fake, **options)
        assert of_discriminator.item() == pytest.approx(loss.discriminator(*patches).item(), rel=1e-5)
        assert of_generator.item() == pytest.approx(loss.generator(patches[1]).item(), rel=1e-5)
        assert all(gradient.abs().sum() > 0 for gradient in gradients_of(generator))

    @pytest.mark.parametrize("norm", ["batch", None])
    def test_either_way_both_networks_move(self, norm):
        """And stay trainable."""
        networks = make_networks(SHAPE, norm)
        before = [p.clone() for network in networks for p in network.parameters()]
        train_gan(*networks, torch.rand(8, *SHAPE), n_steps=3)
        after = [p for network in networks for p in network.parameters()]
        assert all(not torch.equal(b, a) for b, a in zip(before, after, strict=True))
        assert all(p.requires_grad for p in after)


class TestTrainMode:
    """Training mode for all but what its user froze."""

    def test_a_module_in_eval_mode_among_others_in_training_mode_stays_there(self):
        """Its running statistics must not move."""
        discriminator = freeze_norms(Discriminator((1, 32, 32), base_channels=4, norm="batch"))
        before = copy.deepcopy(dict(discriminator.named_buffers()))
        train_mode(discriminator)(torch.rand(4, 1, 32, 32))
        assert len(before) > 0
        assert all(torch.equal(buffer, before[name]) for name, buffer in discriminator.named_buffers())
        assert discriminator.training
        assert discriminator.layers[0].training

    def test_a_loaded_network_is_trained_except_for_what_takes_no_gradient(self):
        """It often comes in eval mode as a whole; a part without gradients is frozen with all that is in it."""
        frozen = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2), nn.Dropout(0.5)).requires_grad_(False)
        trained = nn.Sequential(nn.Conv2d(2, 2, 1), nn.BatchNorm2d(2), nn.Dropout(0.5))
        network = train_mode(nn.Sequential(frozen, trained).eval())
        assert network.training
        assert all(module.training for module in trained.modules())
        assert not any(module.training for module in frozen.modules())

    def test_asking_twice_changes_nothing(self):
        """As going back to a captured state does."""
        network = nn.Sequential(nn.Linear(2, 2).requires_grad_(False), nn.Dropout(0.5), nn.Linear(2, 2)).eval()
        modes = [[module.training for module in train_mode(network).modules()] for _ in "ab"]
        assert modes == [[True, False, True, True]] * 2

    def test_parts_in_training_mode_inside_a_part_in_eval_mode_keep_it(self):
        """Dropout at test time is one use of that."""
        network = nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.Dropout(0.5)))
        network[1].eval()
        network[1][0].train()
        train_mode(network)
        assert [module.training for module in network.modules()] == [True, True, False, True]
