"""Sizes and lengths for images of any kind."""

import pytest
import torch
from sklearn.base import clone

from gan_sampler.evaluation._settings import Settings, default_choice, default_image_size, default_settings
from gan_sampler.evaluation._treatments import TREATMENT_LABELS, choose_treatments

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


@pytest.mark.parametrize(("side", "expected"), [(28, 112), (64, 112), (128, 128), (300, 224)])
@pytest.mark.parametrize("axes", ["HW", "HWC", "CHW"])
def test_embedder_looks_at_images_of_a_size_that_it_was_made_for(side, expected, axes):
    """At 32 pixels, the demo's size, features hardly tell classes apart."""
    shape = tuple({"H": side, "W": side - 4, "C": 3}[axis] for axis in axes)
    assert default_settings(shape, CPU).embedder_size == expected


@pytest.mark.parametrize("name", ["dcgan", "conditional", "vision_aided"])
def test_gans_end_in_time_on_the_cpu_alone(name):
    """Without a limit an evaluation would take hours there."""
    for device, limit in ((CPU, 600.0), (CUDA, None)):
        (_, treatment) = choose_treatments([name], default_settings((64, 64), device), "cpu")
        assert treatment.sampler.max_time == limit


@pytest.mark.parametrize("name", [name for name in TREATMENT_LABELS if "gan" in name or name == "conditional"])
def test_limits_reach_every_gan(name):
    settings = default_settings((64, 64), CPU).with_limits(n_steps=7, max_time=3)
    (_, treatment) = choose_treatments([name], settings, "cpu")
    assert (treatment.sampler.n_steps, treatment.sampler.max_time) == (7, 3)
    treatment.sampler._validate_params()


def test_a_limit_of_steps_takes_the_place_of_epochs():
    assert Settings(gan_epochs=5).with_limits(n_steps=7).gan_epochs is None
    assert Settings().with_limits() == Settings()


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"n_steps": 0}, "n_steps must be an integer of at least 1; got 0"),
        ({"n_steps": 2.5}, "n_steps must be an integer of at least 1; got 2.5"),
        ({"max_time": 0}, "max_time must be a number of seconds above 0; got 0"),
        ({"max_time": "1 h"}, "max_time must be a number of seconds above 0; got '1 h'"),
    ],
)
def test_limits_that_are_none_are_refused_before_anything_is_trained(limits, message):
    """Each GAN failed by itself after hours of other cells."""
    with pytest.raises(ValueError, match=message):
        Settings().with_limits(**limits)


def test_length_in_passes_over_the_rarest_class():
    """42 batches of 32 hold 1,341 images."""
    assert Settings(gan_epochs=100).gan_steps(1341, batch_size=32) == 4200
    assert Settings(gan_epochs=10).gan_steps(32, batch_size=16) == 20
    for name in ("dcgan", "conditional", "vision_aided_alone"):
        assert Settings(gan_epochs=10).used([name])["gan_epochs"] == "10"


def test_default_choice_fits_classes_and_device():
    """A threshold is defined for two classes, and DenseNet121 takes hours without a GPU."""
    samplers, classifiers = default_choice(2, CPU)
    assert {"none", "class_weight", "threshold", "smote", "dcgan"} <= set(samplers)
    assert "densenet121" not in classifiers
    assert "threshold" not in default_choice(3, CPU)[0]
    assert "densenet121" in default_choice(2, CUDA)[1]
    assert default_image_size("cpu") == 64
    assert default_image_size("cuda:1") == 128


def test_all_named_samplers_have_parameters_that_they_accept():
    """Settings that only fail after an hour of other cells are none."""
    for treatment in choose_treatments(list(TREATMENT_LABELS), default_settings((64, 64), CPU), "cpu"):
        if hasattr(treatment.sampler, "_validate_params"):
            clone(treatment.sampler)._validate_params()
