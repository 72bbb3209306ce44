"""What CONTRIBUTING promises to whoever adds a method: one place, and everything else is there."""

import joblib
import numpy as np
import pytest
from conftest import make_shapes
from sklearn.base import clone
from sklearn.preprocessing import FunctionTransformer
from torch import nn

from gan_sampler import DCGANOverSampler, GANOverSampler
from gan_sampler.runtime import threads
from gan_sampler.samplers import BaseImageOverSampler
from gan_sampler.samplers._base_gan import BaseGANOverSampler
from gan_sampler.training import LOSSES, Loss

pytestmark = pytest.mark.filterwarnings("ignore:The images drawn for class")


class DenseGenerator(nn.Sequential):
    """Noise to images by one dense layer."""

    def __init__(self, image_shape):
        super().__init__(nn.Linear(8, int(np.prod(image_shape))), nn.Tanh(), nn.Unflatten(1, image_shape))
        self.latent_dim = 8


def make_discriminator(image_shape):
    """Return a discriminator of one dense layer."""
    return nn.Sequential(nn.Flatten(), nn.Linear(int(np.prod(image_shape)), 1), nn.Flatten(0))


class DenseGANOverSampler(BaseGANOverSampler):
    """A preset as in this package: two networks are all that it adds."""

    def _factories(self):
        return {"generator": DenseGenerator, "discriminator": make_discriminator}


class MeanOverSampler(BaseImageOverSampler):
    """Draws means of two real images: one verb is all that it adds."""

    def _synthesise(self, X, y, label, n_images, random_state):
        images = self.image_format_.to_tensor(X[y == label])
        left, right = random_state.randint(len(images), size=(2, n_images))
        yield (images[left] + images[right]) / 2


OWN_NETWORKS = {"generator": DenseGenerator, "discriminator": make_discriminator}


@pytest.mark.parametrize(
    "sampler",
    [
        GANOverSampler(**OWN_NETWORKS, n_steps=60, random_state=0),
        DenseGANOverSampler(n_steps=60, random_state=0),
        MeanOverSampler(random_state=0),
    ],
)
def test_a_sampler_is_one_verb(sampler, shapes):
    """Checks, strategy, seeds, herding, reports and synthetic images in every class come from the base."""
    X, y = shapes
    X_res, y_res = clone(sampler).fit_resample(X, y)
    again, _ = clone(sampler).fit_resample(X, y)
    np.testing.assert_array_equal(X_res, again)
    assert X_res.dtype == X.dtype
    assert (y_res == "square").sum() == 24
    pixels = FunctionTransformer(lambda images: images.reshape(len(images), -1) / 255)
    everything = clone(sampler).set_params(herding=pixels, quality=pixels, synthetic_classes="all")
    X_res, _ = everything.fit_resample(*make_shapes(40, 20))
    assert len(X_res) == 80 + 2 * 10
    assert set(everything.quality_) == {"disc", "square"}
    with pytest.raises(ValueError, match="Class 'lonely' has 1 image"):
        clone(sampler).fit_resample(X, np.array(["lonely"] + ["many"] * 33))


def test_a_gan_sampler_has_checkpoints_files_and_processes(shapes, tmp_path):
    """All that DCGANOverSampler has but its networks."""
    X, y = shapes
    sampler = DenseGANOverSampler(n_steps=60, checkpoint_dir=tmp_path / "checkpoints", random_state=0)
    expected, _ = clone(sampler).set_params(n_steps=80, checkpoint_dir=None).fit_resample(X, y)
    sampler.fit_resample(X, y)
    found, _ = sampler.set_params(n_steps=80).fit_resample(X, y)
    np.testing.assert_array_equal(found, expected)
    sampler.save(tmp_path / "dense.safetensors")
    again = DenseGANOverSampler.load(tmp_path / "dense.safetensors")
    np.testing.assert_array_equal(
        again.sample(3, "square", random_state=1), sampler.sample(3, "square", random_state=1)
    )
    y = np.where((y == "square") & (np.arange(len(y)) % 2 == 0), "odd", y)
    together = DenseGANOverSampler(n_steps=2, n_jobs=2, random_state=0)
    with joblib.parallel_config(backend="threading"), threads(1):
        X_res, _ = together.fit_resample(X, y)
    assert list(together.generators_) == ["odd", "square"]
    assert len(X_res) == 72


def linear_discriminator_loss(real_logits, fake_logits):
    """The difference of the mean logits."""
    return fake_logits.mean() - real_logits.mean()


def linear_generator_loss(fake_logits):
    """The mean logit, to be raised."""
    return -fake_logits.mean()


def test_a_loss_is_one_object(shapes, tmp_path, monkeypatch):
    """It trains as it is or by its name, tells checkpoints apart, and is named in a file."""
    linear = Loss("linear", linear_discriminator_loss, linear_generator_loss, one_pass=True)
    plain = DCGANOverSampler(n_steps=2, base_channels=2, checkpoint_dir=tmp_path / "checkpoints", random_state=0)
    expected, _ = plain.fit_resample(*shapes)
    with pytest.raises(ValueError, match=r"loss\.name: 'non_saturating' there, 'linear' in this fit"):
        clone(plain).set_params(loss=linear).fit_resample(*shapes)
    other = clone(plain).set_params(loss=linear, checkpoint_dir=None)
    assert not np.array_equal(other.fit_resample(*shapes)[0], expected)
    with pytest.warns(UserWarning, match="loss is the function 'linear', which the file cannot hold"):
        other.save(tmp_path / "linear.safetensors")
    assert DCGANOverSampler.load(tmp_path / "linear.safetensors").loss == "non_saturating"
    monkeypatch.setitem(LOSSES, "linear", linear)
    by_name = clone(other).set_params(loss="linear")
    np.testing.assert_array_equal(by_name.fit_resample(*shapes)[0], clone(other).fit_resample(*shapes)[0])
    by_name.save(tmp_path / "linear.safetensors")
    assert DCGANOverSampler.load(tmp_path / "linear.safetensors").loss == "linear"
    with pytest.raises(ValueError, match=r"loss must be one of 'non_saturating', .* got 'linar'"):
        clone(other).set_params(loss="linar").fit_resample(*shapes)
