"""Networks and losses that a user brings: `GANOverSampler`, and what training does with frozen parts."""

import copy
import functools
import importlib
import math
import pickle
import threading

import numpy as np
import pytest
import torch
from conftest import KeptStates, make_patch_discriminator, make_shapes
from imblearn.pipeline import Pipeline
from joblib.externals.loky.backend.reduction import dumps as dumps_for_processes
from sklearn.base import BaseEstimator, clone
from sklearn.model_selection import GridSearchCV
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils import estimator_html_repr
from torch import nn
from torch.nn.utils.parametrizations import orthogonal

from gan_sampler import ConditionalDCGANOverSampler, DCGANOverSampler, GANOverSampler
from gan_sampler.networks import ConditionalGenerator, Discriminator, Generator
from gan_sampler.samplers import _base_gan
from gan_sampler.samplers._factories import try_networks
from gan_sampler.training import LOSSES, Loss, identity_of, train_gan
from gan_sampler.training._draw import freeze
from gan_sampler.training._losses import discriminator_loss, generator_loss
from gan_sampler.training._state import constant_names
from gan_sampler.training._step import allows_one_pass, train_mode

pytestmark = pytest.mark.filterwarnings("ignore:The images drawn for class")
SHAPE = (1, 12, 12)


class DenseGenerator(nn.Sequential):
    """Noise to images, with batch normalisation of one dimension."""

    def __init__(self, image_shape, latent_dim=8, width=4):
        n_pixels = math.prod(image_shape)
        super().__init__(
            *(nn.Linear(latent_dim, width), nn.BatchNorm1d(width), nn.ReLU()),
            *(nn.Linear(width, n_pixels), nn.Tanh(), nn.Unflatten(1, image_shape)),
        )
        self.latent_dim = latent_dim


def make_discriminator(image_shape, *, width=4):
    """Return a discriminator of dense layers."""
    n_pixels = math.prod(image_shape)
    return nn.Sequential(nn.Flatten(), nn.Linear(n_pixels, width), nn.ReLU(), nn.Linear(width, 1), nn.Flatten(0))


class OnBackbone(nn.Module):
    """A discriminator on features of a frozen network, left in training mode as users do."""

    def __init__(self, image_shape, seed=0, frozen=True):
        super().__init__()
        with torch.random.fork_rng(devices=[]):  # the same weights each time, as if they were read from a file
            torch.manual_seed(seed)
            self.backbone = nn.Sequential(
                *(nn.Conv2d(image_shape[0], 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout(0.5)),
                *(nn.Conv2d(8, 8, 3), nn.BatchNorm2d(8), nn.ReLU()),
            )
        self.backbone.requires_grad_(not frozen)
        self.head = nn.Conv2d(8, 1, 1)

    def forward(self, images):
        """Images to logits (n,)."""
        return self.head(self.backbone(images)).mean((1, 2, 3))


class WithFeatures(nn.Module):
    """A discriminator that returns more than logits."""

    def __init__(self, image_shape):
        super().__init__()

    def forward(self, images):
        """Images to logits and features."""
        return images.mean((1, 2, 3)), images


def scaled_loss(factor=1.0):
    """Return the non-saturating loss times a factor, which stands in closures alone."""
    return Loss(
        "scaled",
        lambda real, fake: factor * discriminator_loss(real, fake),
        lambda fake: factor * generator_loss(fake),
        one_pass=True,
    )


def make_sampler(**parameters):
    """Return a sampler with networks of dense layers, quick."""
    given = {"generator": DenseGenerator, "discriminator": make_discriminator, "n_steps": 2, "random_state": 0}
    return GANOverSampler(**given | parameters)


class TestFactories:
    """Classes and functions that make networks, with parameters in skorch's manner."""

    @pytest.mark.parametrize(
        ("own", "preset"),
        [
            (
                GANOverSampler(generator__base_channels=4, discriminator__base_channels=4, discriminator__dropout=0.5),
                DCGANOverSampler(base_channels=4, dropout=0.5),
            ),
            (GANOverSampler(conditional=True, batch_size=4), ConditionalDCGANOverSampler(batch_size=4)),
        ],
    )
    def test_presets_are_the_same_sampler_with_networks_chosen(self, own, preset, shapes):
        """Byte for byte."""
        images, _ = own.set_params(n_steps=3, random_state=0).fit_resample(*shapes)
        expected, _ = preset.set_params(n_steps=3, random_state=0).fit_resample(*shapes)
        np.testing.assert_array_equal(images, expected)

    def test_factories_are_called_with_the_shape_of_an_image(self, shapes):
        """In torch's order, once for each class, and with the number of classes where one training serves all."""
        X, y = shapes
        calls = []

        def spy(image_shape, *rest, factory=None):
            calls.append((image_shape, *rest))
            return factory(image_shape, *rest)

        rgb = np.stack([X, X[:, ::-1], X[:, :, ::-1]], axis=-1)
        sampler = make_sampler(generator=spy, generator__factory=DenseGenerator, sampling_strategy="all")
        sampler.set_params(synthetic_classes="all").fit_resample(rgb, y)
        assert calls == [((3, 12, 12),)] * 2
        calls.clear()
        spied = GANOverSampler(
            conditional=True, generator=spy, generator__factory=ConditionalGenerator, n_steps=2, random_state=0
        )
        spied.fit_resample(X, y)
        assert calls == [((1, 12, 12), 2)]

    def test_parameters_of_factories_are_parameters(self):
        """Of get_params, set_params, clone and repr; a copy has its own."""
        sampler = make_sampler(generator__latent_dim=4, loss=scaled_loss, loss__factor=2.0)
        again = clone(sampler).set_params(generator__latent_dim=5, discriminator__width=3, n_steps=7)
        assert sampler.get_params()["generator__latent_dim"] == 4
        assert "discriminator__width" not in sampler.get_params()
        found = again.get_params(deep=False)
        assert (found["generator__latent_dim"], found["discriminator__width"], found["n_steps"]) == (5, 3, 7)
        assert found["loss__factor"] == 2.0
        assert "generator__latent_dim=5" in repr(again)
        with pytest.raises(ValueError, match="Invalid parameter 'n_step'"):
            again.set_params(n_step=3, generator__latent_dim=6)
        assert again.generator__latent_dim == 5
        with pytest.raises(ValueError, match="Invalid parameter 'generator'"):
            DCGANOverSampler().set_params(generator__latent_dim=3)

    def test_a_parameter_of_a_factory_may_end_in_an_underscore(self, shapes):
        """As `lambda_` does in Python; it is no fitted attribute, which each fit sets anew."""

        def make_loss(lambda_=1.0):
            return scaled_loss(lambda_)

        sampler = make_sampler(loss=make_loss, loss__lambda_=1e-9)
        for _ in range(2):
            sampler.fit_resample(*shapes)
            assert sampler.get_params()["loss__lambda_"] == 1e-9
            assert sampler.history_["square"][-1]["loss_generator"] < 1e-6

    def test_parameters_of_factories_can_be_searched(self):
        """In a pipeline and a grid, and the network follows."""

        class Rows(BaseEstimator):
            """Flatten images."""

            def fit(self, X, y=None):
                """Do nothing."""
                return self

            def transform(self, X):
                """Return rows."""
                return X.reshape(len(X), -1)

        X, y = make_shapes(20, 9)
        steps = [("gan", make_sampler()), ("rows", Rows()), ("tree", DecisionTreeClassifier(random_state=0))]
        grid = {"gan__generator__latent_dim": [2, 3], "gan__discriminator__width": [5]}
        search = GridSearchCV(Pipeline(steps), grid, cv=2, error_score="raise").fit(X, y)
        best = search.best_estimator_["gan"]
        assert best.generators_["square"].latent_dim == search.best_params_["gan__generator__latent_dim"]

    @pytest.mark.parametrize(
        ("parameters", "message"),
        [
            (
                {"generator__latent": 4, "generator__widht": 4},
                r"generator__latent, generator__widht must be a parameter of generator, .*DenseGenerator, which takes "
                r"generator__latent_dim, generator__width\.",
            ),
            ({"discriminator__image_shape": 4}, r"discriminator__image_shape must be .* takes discriminator__width\."),
            ({"generator": lambda: None}, r"generator must be callable as generator\(image_shape\); .* too many"),
            ({"discriminator": lambda s, width: s}, r"discriminator must be .* missing a required argument: 'width'"),
            ({"generator": DenseGenerator(SHAPE)}, r"generator must be a class, or .*; got a DenseGenerator that is"),
            ({"discriminator": nn.Linear(1, 1)}, r"discriminator must be .* copy\.deepcopy\(network\)"),
            ({"generator": lambda shape: nn.Linear(2, 2)}, r"attribute latent_dim, .* that of Linear is None"),
            (
                {"generator": lambda shape: DenseGenerator((1, 5, 5))},
                r"images of shape \(2, 1, 12, 12\); those of DenseGenerator are of shape \(2, 1, 5, 5\)",
            ),
            (
                {"discriminator": lambda shape: nn.Flatten(0)},
                r"discriminator must map 2 images to logits of shape \(2,\).*Flatten are of shape \(288,\)",
            ),
            ({"conditional": True, "discriminator": None}, r"make networks with a method of_class\(index\)"),
            ({"loss__factor": 2}, r"loss must be a function that takes factor, where loss__factor is set; got 'non_s"),
            ({"loss": scaled_loss, "loss__facto": 2}, r"loss__facto must be .* takes loss__factor\."),
            ({"loss": lambda: "hinge"}, r"loss must return a .*Loss or a tuple of two functions .* returned 'hinge'"),
            ({"loss": (generator_loss, 3)}, r"loss must be one of .* a tuple of two functions"),
            (
                {"discriminator": lambda shape: make_discriminator(shape).requires_grad_(False)},
                r"must have parameters that require a gradient; got a Sequential without any",
            ),
        ],
    )  # fmt: skip
    def test_what_is_wrong_with_a_factory_is_told(self, parameters, message, shapes):
        """By the name of the parameter, with what it takes."""
        with pytest.raises(ValueError, match=f"(?s){message}"):
            make_sampler(**parameters).fit_resample(*shapes)

    def test_what_is_no_network_is_refused(self, shapes):
        """And no parameter is swallowed."""
        with pytest.raises(TypeError, match=r"generator must return a torch\.nn\.Module; got 3"):
            make_sampler(generator=lambda shape: 3).fit_resample(*shapes)
        with pytest.raises(TypeError, match=r"has no parameter n_step, generator__\. .* generator__, discriminator__"):
            GANOverSampler(n_step=3, generator__=2)
        with pytest.raises(TypeError, match="discriminator must return a tensor; WithFeatures returned a tuple"):
            make_sampler(discriminator=WithFeatures).fit_resample(*shapes)

    def test_an_error_of_a_network_says_where_it_happened(self, shapes):
        """Its own message is about tensors alone."""
        with pytest.raises(RuntimeError) as caught:
            make_sampler(discriminator=lambda shape: nn.Linear(7, 1)).fit_resample(*shapes)
        assert caught.value.__notes__ == ["discriminator, Linear, was tried on a tensor of shape (2, 1, 12, 12) before "
                                          "training."]  # fmt: skip

    def test_the_trial_changes_nothing(self, shapes):
        """Neither statistics nor modes: a trial in training mode would move them."""
        made = []
        sampler = make_sampler(discriminator=lambda shape: made.append(OnBackbone(shape, frozen=False)) or made[-1])
        networks = [sampler._make_network(name, SHAPE, 1) for name in ("generator", "discriminator")]
        networks[1].backbone[1].eval()
        before = copy.deepcopy([network.state_dict() for network in networks])
        modes = [[module.training for module in network.modules()] for network in networks]
        try_networks(networks, SHAPE, torch.device("cpu"))
        assert [[module.training for module in network.modules()] for network in networks] == modes
        for state, network in zip(before, networks, strict=True):
            assert all(torch.equal(value, state[name]) for name, value in network.state_dict().items())

    def test_a_notebook_shows_the_parameters_of_factories(self, shapes):
        """As those that were set."""
        sampler = make_sampler(generator__latent_dim=5)
        sampler.fit_resample(*shapes)
        html = estimator_html_repr(sampler)
        assert "generator__latent_dim" in html
        assert "Synthetic: square" in html


class TestLosses:
    """Given as an object, a pair of functions or a function that makes one of these."""

    def test_all_ways_to_give_a_loss_are_the_same(self, shapes):
        """The one pass that an object allows is all that differs."""
        hinge = LOSSES["hinge"]
        pair = hinge.discriminator, hinge.generator
        ways = ["hinge", Loss("mine", *pair), pair, lambda: pair, lambda: hinge]
        images = [clone(make_sampler(loss=loss)).fit_resample(*shapes)[0] for loss in ways]
        assert all(np.array_equal(images[0], other) for other in images[1:])
        dcgan = [DCGANOverSampler(loss=loss, base_channels=2, n_steps=2, random_state=0) for loss in ("hinge", pair)]
        np.testing.assert_array_equal(*(sampler.fit_resample(*shapes)[0] for sampler in dcgan))

    def test_parameters_of_a_loss_reach_it(self, shapes):
        """A factor of zero leaves nothing to learn."""
        one, none = (make_sampler(loss=scaled_loss, loss__factor=factor) for factor in (1.0, 1e-9))
        for sampler in (one, none):
            sampler.fit_resample(*shapes)
        assert one.history_["square"][-1]["loss_generator"] > 0.1
        assert none.history_["square"][-1]["loss_generator"] < 1e-6

    @pytest.mark.parametrize("name", LOSSES)
    @pytest.mark.parametrize("size", [12, 8])
    def test_logits_of_patches_are_accepted(self, name, size):
        """Of shape (n, 1, h, w), also where h and w are 1, as they are means that the losses take."""
        sampler = make_sampler(discriminator=make_patch_discriminator, discriminator__base_channels=2, loss=name)
        images, _ = sampler.fit_resample(*make_shapes(size=size))
        assert len(images) == 48


class TestFrozenParts:
    """A pretrained network in a discriminator is used and neither trained, averaged nor copied."""

    @pytest.mark.parametrize("loss", ["non_saturating", "hinge"])
    def test_a_frozen_backbone_stays_as_it_is(self, loss):
        """With one pass and with two: weights, running statistics, modes and flags; the head learns."""
        torch.manual_seed(0)
        discriminator = OnBackbone(SHAPE)
        before = copy.deepcopy(discriminator.state_dict())
        train_gan(DenseGenerator(SHAPE), discriminator, torch.rand(9, *SHAPE), n_steps=4, loss=loss, augment=None)
        after = discriminator.state_dict()
        assert all(torch.equal(after[name], before[name]) for name in after if name.startswith("backbone"))
        assert not torch.equal(after["head.weight"], before["head.weight"])
        assert not any(module.training for module in discriminator.backbone.modules())
        assert discriminator.head.training
        flags = {name: parameter.requires_grad for name, parameter in discriminator.named_parameters()}
        assert flags == {name: name.startswith("head") for name in flags}
        assert all(parameter.grad is None for parameter in discriminator.backbone.parameters())

    def test_frozen_batch_normalisation_couples_nothing(self):
        """Though its user left it in training mode, in which it would."""
        images = torch.zeros(2, *SHAPE, dtype=torch.uint8)
        assert allows_one_pass(OnBackbone(SHAPE), images, loss=LOSSES["non_saturating"])
        assert not allows_one_pass(OnBackbone(SHAPE, frozen=False), images, loss=LOSSES["non_saturating"])

    def test_an_average_whose_weights_take_no_gradient_keeps_its_modes(self):
        """It is a copy of a network that is trained, and no frozen part of one."""
        average = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)).requires_grad_(False)
        assert all(module.training for module in train_mode(average).modules())

    def test_states_hold_what_is_trained(self, shapes):
        """A state is captured every 50 steps and written to disk."""
        states = KeptStates()
        discriminator = OnBackbone(SHAPE)
        train_gan(
            DenseGenerator(SHAPE), discriminator, torch.rand(9, *SHAPE), n_steps=2, checkpoint=states, ema_decay=0.5
        )
        names = set(states[-1][0])
        assert not any("backbone" in name for name in names)
        assert {"discriminator.head.weight", "adam.discriminator.1.exp_avg"} < names
        assert "adam.discriminator.2.exp_avg" not in names
        assert constant_names(discriminator) == {name for name in discriminator.state_dict() if "backbone" in name}

    def test_an_interrupted_training_goes_on_with_the_same_backbone(self, shapes, tmp_path):
        """With the bytes of an uninterrupted one; with other pretrained weights it is refused."""
        whole = make_sampler(discriminator=OnBackbone, n_steps=60)
        expected, _ = whole.fit_resample(*shapes)
        part = clone(whole).set_params(n_steps=50, checkpoint_dir=tmp_path)
        part.fit_resample(*shapes)
        (file,) = tmp_path.iterdir()
        assert b"backbone" not in file.read_bytes()
        found, _ = clone(part).set_params(n_steps=60).fit_resample(*shapes)
        np.testing.assert_array_equal(found, expected)
        other = clone(part).set_params(discriminator=functools.partial(OnBackbone, seed=1))
        with pytest.raises(ValueError, match=r"networks\[1\]: .*OnBackbone"):
            other.fit_resample(*shapes)

    def test_a_frozen_part_of_a_generator_stays_as_it_is(self):
        """In the average, too, whose other batch normalisation gets statistics anew."""
        torch.manual_seed(0)
        generator = DenseGenerator(SHAPE)
        generator[0].requires_grad_(False), generator[1].requires_grad_(False)
        before = copy.deepcopy(generator.state_dict())
        average, _ = train_gan(generator, make_discriminator(SHAPE), torch.rand(9, *SHAPE), n_steps=3)
        for name, value in average.state_dict().items():
            assert torch.equal(value, before[name]) == name.startswith(("0.", "1.")), name


class TestStandingStatistics:
    """What `freeze` does for the package's networks it does for others."""

    def test_batch_normalisation_of_one_dimension_gets_its_statistics(self):
        """Without, images would be drawn with those of the first, untrained weights."""
        torch.manual_seed(0)
        generator = DenseGenerator(SHAPE)
        with torch.no_grad():
            generator[0].bias.fill_(5.0)
        frozen = freeze(generator)
        torch.testing.assert_close(frozen[1].running_mean, torch.full((4,), 5.0), atol=0.2, rtol=0)

    def test_a_frozen_generator_stays_as_it_is(self):
        """Its statistics would be drawn anew."""
        frozen = freeze(DenseGenerator(SHAPE))
        before = copy.deepcopy(frozen.state_dict())
        again = freeze(frozen).state_dict()
        assert all(torch.equal(value, before[name]) for name, value in again.items())
        assert not frozen.training

    def test_any_parametrisation_is_folded(self):
        """Else the sampler could not be pickled."""
        generator = DenseGenerator(SHAPE)
        orthogonal(generator[0])
        nn.utils.parametrize.register_parametrization(generator[3], "bias", nn.Tanh())
        pickle.loads(pickle.dumps(freeze(generator)))


class TestIdentity:
    """A checkpoint is gone on with by the same networks, loss and augmentation alone."""

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            (scaled_loss(1.0).generator, scaled_loss(2.0).generator),
            (functools.partial(scaled_loss, 1.0), functools.partial(scaled_loss, 2.0)),
            (lambda x: x + 1, lambda x: x + 2),
            (lambda x, k=1: x, lambda x, k=2: x),
            (DenseGenerator, OnBackbone),
            (nn.LeakyReLU(0.1), nn.LeakyReLU(0.2)),
            (np.zeros(2), np.ones(2)),
        ],
    )
    def test_what_computes_something_else_differs(self, one, other):
        """In a constant alone."""
        assert identity_of(one) != identity_of(other)
        assert identity_of(one) == identity_of(copy.deepcopy(one))

    def test_global_constants_and_functions_count(self):
        """As a loss in a script has them."""
        source = "FACTOR = {}\ndef helper(x): return {} * x\ndef loss(x): return FACTOR * helper(x)"

        def identity(*values):
            namespace = {"__name__": "script"}
            exec(source.format(*values), namespace)
            return identity_of(namespace["loss"])

        assert identity(1, 2) == identity(1, 2)
        assert len({identity(1, 2), identity(2, 2), identity(1, 3)}) == 3

    def test_modules_count_by_their_names(self):
        """They are imported within a function at times; their contents change with a version at most."""

        def make(name):
            module = importlib.import_module(name)
            return lambda logits: module.sqrt(logits)

        assert identity_of(make("torch")) == identity_of(make("torch")) != identity_of(make("numpy"))

    def test_what_refers_to_itself_ends(self):
        """Recursion, and classes with super()."""

        def recursive(n):
            return recursive(n - 1) if n else 0

        values = [recursive]
        values.append(values)
        assert identity_of(recursive).startswith("test_own_networks.")
        assert identity_of(values)
        assert identity_of(Generator) == "gan_sampler.networks._dcgan.Generator"

    @pytest.mark.parametrize(
        ("parameters", "message"),
        [
            ({"loss__factor": 2.0}, r"loss\.discriminator: .* there, .*parameters\.loss__factor: 1\.0 there, 2\.0"),
            ({"loss": lambda factor: scaled_loss(2 * factor)}, r"loss\.discriminator"),
            ({"generator__latent_dim": 3}, r"networks\[0\].*parameters\.generator__latent_dim"),
            ({"discriminator": functools.partial(make_discriminator, width=3)}, r"networks\[1\].*parameters\.discrim"),
            ({"augmentation": lambda images, generator: images * 0.5}, r"parameters\.augmentation: 'test_own_networks"),
        ],
    )
    def test_a_checkpoint_of_something_else_is_refused(self, parameters, message, shapes, tmp_path):
        """With what differs."""
        sampler = make_sampler(
            checkpoint_dir=tmp_path,
            loss=scaled_loss,
            loss__factor=1.0,
            augmentation=lambda images, generator: images,
        )
        sampler.fit_resample(*shapes)
        clone(sampler).fit_resample(*shapes)
        with pytest.raises(ValueError, match=f"(?s){message}"):
            clone(sampler).set_params(**parameters).fit_resample(*shapes)


@pytest.mark.parametrize("make", [make_sampler, lambda **p: DCGANOverSampler(base_channels=2, n_steps=2, **p)])
def test_augmentation_can_be_a_function(make, shapes):
    """Called with real and generated images and a stream to draw from; images are differentiable."""
    seen = []

    def augment(images, *, generator):
        seen.append((images.shape, images.requires_grad, generator))
        return images

    make(augmentation=augment, random_state=0).fit_resample(*shapes)
    assert seen[0][0] == (10, 1, 12, 12)
    assert {needs for _, needs, _ in seen} == {False, True}
    assert isinstance(seen[0][2], torch.Generator)


class TestFiles:
    """Weights and plain parameters, no code."""

    def test_a_generator_of_ones_own_is_passed_to_load(self, shapes, tmp_path):
        """With its parameters from the file; others draw nothing from them."""
        sampler = make_sampler(generator__latent_dim=3, generator__width=5)
        sampler.fit_resample(*shapes)
        with pytest.warns(
            UserWarning, match=r"discriminator is the function '.*make_discriminator', .* Pass discrimin"
        ):
            sampler.save(tmp_path / "own")
        expected = sampler.sample(3, "square", random_state=0)
        again = GANOverSampler.load(tmp_path / "own", generator=DenseGenerator, discriminator=make_discriminator)
        np.testing.assert_array_equal(again.sample(3, "square", random_state=0), expected)
        again.fit_resample(*shapes)
        np.testing.assert_array_equal(again.sample(3, "square", random_state=0), expected)
        with pytest.raises(ValueError, match=r"made by test_own_networks\.DenseGenerator, but not their code.*load\("):
            GANOverSampler.load(tmp_path / "own")
        with pytest.raises(ValueError, match=r"(?s)tensors must be those that the parameters ask for.*there, .* here"):
            GANOverSampler.load(
                tmp_path / "own", generator=functools.partial(DenseGenerator, width=6), generator__width=6
            )
        with pytest.raises(TypeError, match=r"GANOverSampler has no parameter generatr, which load got"):
            GANOverSampler.load(tmp_path / "own", generatr=DenseGenerator)

    @pytest.mark.parametrize("conditional", [False, True])
    def test_networks_of_this_package_are_known_by_name(self, conditional, shapes, tmp_path):
        """Also where they were named; those of a class need not know the number of classes."""
        sampler = GANOverSampler(
            conditional=conditional,
            generator=ConditionalGenerator if conditional else Generator,
            generator__base_channels=2,
            n_steps=3,
            random_state=0,
        )
        if not conditional:
            sampler.set_params(discriminator=Discriminator, discriminator__base_channels=3)
        sampler.fit_resample(*shapes)
        sampler.save(tmp_path / "own")
        again = GANOverSampler.load(tmp_path / "own")
        assert again.get_params()["generator"] is sampler.generator
        assert again.get_params()["discriminator"] is sampler.discriminator
        images = (one.sample(3, "square", random_state=0) for one in (sampler, again))
        np.testing.assert_array_equal(*images)

    def test_loading_makes_no_discriminator(self, shapes, tmp_path):
        """It may read a large pretrained network."""
        made = []
        sampler = make_sampler(discriminator=lambda shape: made.append(shape) or make_discriminator(shape))
        sampler.fit_resample(*shapes)
        with pytest.warns(UserWarning, match="discriminator is the function"):
            sampler.save(tmp_path / "own")
        GANOverSampler.load(tmp_path / "own", generator=DenseGenerator, discriminator=sampler.discriminator)
        assert len(made) == 1

    def test_any_parameter_can_be_passed_to_load(self, shapes, tmp_path):
        """As a loss or a callback, which a file does not hold."""
        pair = LOSSES["hinge"].discriminator, LOSSES["hinge"].generator
        sampler = DCGANOverSampler(base_channels=2, n_steps=2, loss=pair, augmentation=lambda x, generator: x)
        sampler.fit_resample(*shapes)
        with (
            pytest.warns(UserWarning, match="loss is the function 'gan_sampler.* and gan_sampler"),
            pytest.warns(UserWarning, match=r"augmentation is the function .* augmentation='auto' is saved"),
        ):
            sampler.save(tmp_path / "dcgan")
        again = DCGANOverSampler.load(tmp_path / "dcgan", loss=pair, n_steps=3)
        assert (again.loss, again.n_steps, again.augmentation) == (pair, 3, "auto")

    def test_a_fitted_sampler_pickles(self, shapes):
        """Where its networks can be imported."""
        sampler = make_sampler(generator__latent_dim=3)
        sampler.fit_resample(*shapes)
        again = pickle.loads(pickle.dumps(sampler))
        assert again.get_params() == sampler.get_params()
        images = (one.sample(3, "square", random_state=0) for one in (sampler, again))
        np.testing.assert_array_equal(*images)


def test_functions_without_a_name_go_to_other_processes(shapes, monkeypatch):
    """They are sent by value, as joblib does it; what cannot be sent is told by its name before training."""
    sampler = make_sampler(
        discriminator=lambda shape: make_discriminator(shape, width=3), loss=lambda: scaled_loss(2.0)
    )
    expected, _ = sampler.fit_resample(*shapes)
    sent = []

    def run(trainings, n_jobs):
        for training in trainings:
            sent.append(dumps_for_processes(training))
            yield pickle.loads(dumps_for_processes(pickle.loads(sent[-1]).run()))

    with monkeypatch.context() as patched:
        patched.setattr(_base_gan, "_run", run)
        found, _ = clone(sampler).fit_resample(*shapes)
    assert len(sent) == 1
    np.testing.assert_array_equal(found, expected)

    lock = threading.Lock()
    unpicklable = make_sampler(discriminator=lambda shape: lock and make_discriminator(shape), n_jobs=2)
    y = np.where((shapes[1] == "square") & (np.arange(len(shapes[1])) % 2 == 0), "odd", shapes[1])
    with pytest.raises(ValueError, match=r"discriminator must be picklable with n_jobs=2, .* Pass n_jobs=None"):
        unpicklable.fit_resample(shapes[0], y)
