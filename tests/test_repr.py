"""What a notebook shows of a fitted sampler: true numbers, no real image, nothing that runs, nothing that changes."""

import base64
import builtins
import io
import pickle
import re

import numpy as np
import pytest
import torch
from imblearn.over_sampling import SMOTE
from imblearn.pipeline import make_pipeline
from PIL import Image
from sklearn import config_context
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import estimator_html_repr

from gan_sampler import (
    AugmentationOverSampler,
    ConditionalDCGANOverSampler,
    DCGANOverSampler,
    PixelSampler,
)
from gan_sampler.samplers import _repr

pytestmark = pytest.mark.filterwarnings("ignore::gan_sampler.QualityWarning")
pytest.importorskip("sklearn", minversion="1.7", reason="older versions have no place for it in their diagram")

DASH, EVIL = "\N{EN DASH}", '<script>alert("x")</script>'
SIZE = 12


def make_images(shape=(SIZE, SIZE), dtype=np.uint8, seed=0):
    """Return noise of two rare classes and a common one."""
    y = np.repeat([EVIL, "rare", "well"], [10, 12, 20])
    return np.random.RandomState(seed).randint(0, 256, (len(y), *shape)).astype(dtype), y


X, Y = make_images()


@pytest.fixture(scope="module")
def sampler():
    fitted = DCGANOverSampler(n_steps=51, base_channels=4, random_state=0)
    fitted.fit_resample(X, Y)
    return fitted


@pytest.fixture(scope="module")
def page(sampler):
    return sampler._repr_html_()


def section(page):
    """Return what this package adds to scikit-learn's page."""
    found = re.findall(r'<div class="gan-sampler-fitted">.*?</div>.*?</div>', page, re.DOTALL)
    assert len(found) <= 1
    return found[0] if found else ""


def rows(page):
    """Return the cells of the table as text, by class."""
    body = re.search(r"<tbody>(.*?)</tbody>", section(page), re.DOTALL)[1]
    cells = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in re.findall(r"<tr>(.*?)</tr>", body)]
    return {first: rest for first, *rest in cells}


def pictures(page):
    return [
        np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGBA"))
        for data in re.findall(r'src="data:image/png;base64,([^"]+)"', page)
    ]


def test_numbers_are_those_of_the_fit(page, sampler):
    shown = rows(page)
    assert shown["rare"][:3] == ["12 → 20", "6", "2"]
    assert shown["well"][:3] == ["20 → 20", DASH, DASH]
    assert shown["well"][3:] == [DASH, DASH]
    best = min(sampler.history_["rare"], key=lambda record: (record["spectral_distance"] > 0.7, record["score"]))
    assert shown["rare"][3] in ("51", "51, kept at 50")
    assert shown["rare"][4] == f"{best['score']:.3g}"


def test_scikit_learns_diagram_is_kept(page):
    """Parameters stand below, and the text for notebooks that are not trusted."""
    assert page.count("sk-top-container") >= 1
    assert "n_steps" in page
    assert page.index("gan-sampler-fitted") < page.index("Parameters", page.index('<div class="gan-sampler-fitted">'))


def test_images_are_the_generators_own(page, sampler):
    """From a fixed seed: the same at each look."""
    found = pictures(page)
    assert len(found) == 2
    expected = sampler.sample(6, "rare", random_state=_repr._SEED)
    (left,) = (np.flatnonzero((picture[..., 3] == 255).any(axis=0))[0] for picture in found[1:])
    np.testing.assert_array_equal(found[1][:SIZE, left : left + SIZE, 0], expected[0])
    assert section(sampler._repr_html_()) == section(page)


def test_labels_are_escaped(page):
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt;" in section(page)


def test_looking_changes_nothing(sampler):
    """Neither the caller's random state nor the sampler, whose pickle stays as it was."""
    before = pickle.dumps(sampler), np.random.get_state()[1].copy(), torch.get_rng_state()
    sampler._repr_mimebundle_()
    estimator_html_repr(sampler)
    assert set(vars(sampler)) == set(vars(pickle.loads(before[0])))
    np.testing.assert_array_equal(np.random.get_state()[1], before[1])
    assert torch.equal(torch.get_rng_state(), before[2])


def test_all_ways_to_the_page_have_it(sampler, page):
    for other in (sampler._repr_mimebundle_()["text/html"], estimator_html_repr(sampler)):
        assert section(other) == section(page)
    assert sampler._repr_mimebundle_()["text/plain"] == repr(sampler)
    with config_context(display="text"):
        assert not hasattr(sampler, "_repr_html_")


def test_a_sampler_in_a_pipeline_shows_it_too():
    flatten = FunctionTransformer(lambda X: X.reshape(len(X), -1))
    classifier = LogisticRegression(max_iter=1000)
    pipeline = make_pipeline(DCGANOverSampler(n_steps=2, base_channels=4, random_state=0), flatten, classifier)
    assert "gan-sampler-fitted" not in pipeline._repr_html_()
    pipeline.fit(X, Y)
    assert rows(pipeline._repr_html_())["rare"][0] == "12 → 20"
    assert len(pictures(pipeline._repr_html_())) == 2


def test_unfitted_samplers_look_as_scikit_learn_has_it(sampler):
    fitted_alone = DCGANOverSampler().fit(X, Y)
    for unfitted in (clone(sampler), fitted_alone):
        assert "gan-sampler-fitted" not in unfitted._repr_html_()
        assert "n_steps" in unfitted._repr_html_()


def test_poor_images_are_told(sampler):
    """At the top, before the numbers."""
    poor = pickle.loads(pickle.dumps(sampler))
    record = {"step": 50, "score": 1.0, "variance_ratio": 1.0, "spectral_distance": 0.0}
    poor.history_ = {EVIL: [{**record, "score": 99.0}], "rare": [{**record, "variance_ratio": 0.01}]}
    shown = section(poor._repr_html_())
    assert shown.count('class="alarm"') == 1
    assert "&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt;&#x27; (score 99" in shown
    assert "&#x27;rare&#x27; (variance_ratio 0.01)" in shown
    assert shown.index("alarm") < shown.index("<table>")
    poor.history_ = {EVIL: [record], "rare": [record]}
    assert "alarm" not in section(poor._repr_html_())


def test_the_report_of_quality_is_told(sampler):
    class Report:
        is_poor, faults = True, ("they are <b>alike</b>",)

    poor = pickle.loads(pickle.dumps(sampler))
    poor.quality_ = {"rare": Report(), EVIL: None}
    assert "Poor quality of class &#x27;rare&#x27;: they are &lt;b&gt;alike&lt;/b&gt;." in section(poor._repr_html_())


def test_images_made_of_real_ones_are_never_shown():
    """They show the patients; notebooks are passed on."""
    sampler = AugmentationOverSampler(random_state=0)
    sampler.fit_resample(X, Y)
    page = sampler._repr_html_()
    assert not pictures(page)
    assert "No image is shown, as those of this sampler are made of real ones" in section(page)
    assert rows(page)["rare"][:3] == ["12 → 20", "6", "2"]


def test_samplers_without_generators_of_their_own_are_left_alone():
    sampler = PixelSampler(SMOTE(random_state=0))
    sampler.fit_resample(X, Y)
    assert "PixelSampler" in sampler._repr_html_()
    assert not pictures(sampler._repr_html_())


def test_conditional_generators_show_each_class():
    sampler = ConditionalDCGANOverSampler(n_steps=4, base_channels=4, random_state=0)
    sampler.fit_resample(X, Y)
    assert len(pictures(sampler._repr_html_())) == 2


def test_nothing_to_over_sample():
    sampler = DCGANOverSampler(n_steps=2, base_channels=4)
    sampler.fit_resample(X[:20], np.repeat(["a", "b"], 10))
    page = sampler._repr_html_()
    assert rows(page) == {"a": ["10 → 10", DASH, DASH], "b": ["10 → 10", DASH, DASH]}
    assert not pictures(page)


def test_a_sampler_read_from_a_file_shows_what_it_knows(sampler, tmp_path):
    sampler.save(tmp_path / "sampler.safetensors")
    loaded = DCGANOverSampler.load(tmp_path / "sampler.safetensors")
    page = loaded._repr_html_()
    assert rows(page)["rare"][0] == "8"
    for one, other in zip(pictures(page), pictures(sampler._repr_html_()), strict=True):
        np.testing.assert_array_equal(one, other)


def test_it_needs_no_matplotlib(sampler, page, monkeypatch):
    def refuse(name, *args, **kwargs):
        if name.partition(".")[0] == "matplotlib":
            raise ImportError(name)
        return imported(name, *args, **kwargs)

    imported = builtins.__import__
    monkeypatch.setattr(builtins, "__import__", refuse)
    assert section(sampler._repr_html_()) == section(page)


def test_a_generator_that_fails_costs_the_images_alone(sampler, monkeypatch):
    def fail(*args, **kwargs):
        raise MemoryError("<none> left")

    monkeypatch.setattr(DCGANOverSampler, "sample", fail)
    page = sampler._repr_html_()
    assert "Images could not be drawn: MemoryError: &lt;none&gt; left" in section(page)
    assert rows(page)["rare"][0] == "12 → 20"


@pytest.mark.parametrize(
    ("shape", "dtype", "n_classes"),
    [((64, 64), np.uint8, 1), ((96, 64, 3), np.uint8, 2), ((3, 40, 40), np.float32, 9), ((32, 32), np.uint16, 30)],
)
def test_the_section_is_small_whatever_the_images(shape, dtype, n_classes):
    """Notebooks are kept in version control; scikit-learn's own page has 40 kB and more."""
    rng = np.random.RandomState(0)
    y = np.array([f"class {i:02}" for i in range(n_classes) for _ in range(2)] + ["common"] * 3)
    images = rng.randint(0, 256, (len(y), *shape)).astype(dtype)
    sampler = DCGANOverSampler(n_steps=1, base_channels=1, base_size=8, latent_dim=4, random_state=0, ema_decay=0)
    sampler.fit_resample(images, y)
    noise = torch.Generator().manual_seed(0)

    class Noise(torch.nn.Module):  # which no compression makes smaller
        latent_dim = 4

        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(1))

        def forward(self, z):
            return torch.rand((len(z), *sampler.image_format_.tensor_shape), generator=noise) * 2 - 1

    sampler.generators_ = {label: Noise() for label in sampler.generators_}
    page = sampler._repr_html_()
    assert len(section(page).encode()) < 24_000
    found = pictures(page)
    assert len(found) == min(n_classes, 8)
    assert all(picture[..., 3].any() for picture in found)
    assert ("And 11 more classes." in page) == (n_classes == 30)
