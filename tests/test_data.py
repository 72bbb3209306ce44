"""Balanced data sets, loaders and streams: how many images, fresh ones, the same for any number of workers."""

import copy
import itertools
import pickle
import random
import threading

import numpy as np
import pytest
import torch
from conftest import make_shapes
from PIL import Image
from sklearn.exceptions import NotFittedError
from torch.utils.data import DataLoader, DistributedSampler, IterableDataset, Subset, TensorDataset
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

from gan_sampler import AugmentationOverSampler, ConditionalDCGANOverSampler, DCGANOverSampler
from gan_sampler.data import BalancedDataLoader, BalancedDataset, BalancedIterableDataset
from gan_sampler.data._drawing import Drawing
from gan_sampler.data._random import quick_seed
from gan_sampler.datasets import load_image_folder
from gan_sampler.images import check_images

TRANSFORM = v2.Compose([v2.RandomHorizontalFlip(), v2.ToDtype(torch.float32, scale=True)])


class FakeSampler:
    """Draws images of one value each, which comes from the seed, and notes what it was asked for."""

    sampling_strategy = "auto"

    def __init__(self, X, labels):
        self.image_format_ = check_images(X)[1]
        self.generators_ = dict.fromkeys(labels)
        self.asked = []

    def sample(self, n, label, *, random_state):
        self.asked.append((n, label, threading.current_thread()))
        values = np.random.RandomState(random_state).randint(1, 255, n).astype(self.image_format_.dtype)
        shape = self.image_format_.row_shape
        return np.broadcast_to(values.reshape(-1, *(1 for _ in shape)), (n, *shape)).copy()


@pytest.fixture
def shapes():
    return make_shapes(24, 10, size=8)


@pytest.fixture
def sampler(shapes):
    return FakeSampler(shapes[0], ["square"])


@pytest.fixture(scope="module")
def trained():
    return fit(DCGANOverSampler, *make_shapes(24, 10, size=8))


def fit(kind, X, y, **parameters):
    sampler = kind(n_steps=2, latent_dim=8, base_channels=4, random_state=0, **parameters)
    sampler.fit_resample(X, y)
    return sampler


def gathered(loader, n_epochs=1):
    """Return images and classes of all epochs, one tensor each."""
    batches = [[part.clone() for part in batch] for _ in range(n_epochs) for batch in loader]
    return [torch.cat(parts) for parts in zip(*batches, strict=True)]


def drawn(dataset):
    return torch.stack([dataset[i][0] for i in np.flatnonzero(dataset.synthetic_mask)])


def write_folder(root, X, y):
    for i, (image, label) in enumerate(zip(X, y, strict=True)):
        (root / label).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(root / label / f"{i:03}.png")
    return root


class TestDataset:
    def test_classes_are_balanced_and_real_images_come_first_untouched(self, trained, shapes):
        X, y = shapes
        dataset = BalancedDataset(trained, X, y, random_state=0)
        assert dataset.classes == ["disc", "square"]
        assert dataset.class_to_idx == {"disc": 0, "square": 1}
        assert np.bincount(dataset.targets).tolist() == [24, 24]
        assert dataset.synthetic_mask.tolist() == 44 * [False] + 4 * [True]
        real = torch.stack([dataset[i][0] for i in range(34)])
        assert torch.equal(real, torch.from_numpy(X)[:, None])
        assert [dataset[i][1] for i in range(34)] == (y == "square").astype(int).tolist()
        assert {dataset[i][1] for i in range(34, 48)} == {1}
        assert type(dataset[0][1]) is int
        assert drawn(dataset).dtype == torch.uint8
        assert "44 real, 4 synthetic" in repr(dataset)

    def test_synthetic_images_are_those_that_the_sampler_draws(self, trained, shapes):
        """They are of the same class and quality, so of the same mean as a large sample."""
        dataset = BalancedDataset(trained, *shapes, random_state=0)
        mean = trained.sample(500, "square", random_state=1).mean(0)
        assert abs(drawn(dataset).float().mean(0)[0].numpy() - mean).mean() < 5

    @pytest.mark.parametrize("strategy", [0.5, {"square": 15}, lambda y: {"square": 11}, "all", "minority"])
    def test_the_number_is_that_of_fit_resample(self, strategy, shapes):
        X, y = shapes
        kind = DCGANOverSampler(n_steps=1, latent_dim=8, base_channels=4, sampling_strategy=strategy, random_state=0)
        _, y_resampled = kind.fit_resample(X, y)
        dataset = BalancedDataset(kind, X, y)
        assert np.array(dataset.classes)[dataset.targets].tolist() == y_resampled.tolist()
        assert np.array_equal(dataset.synthetic_mask, kind.synthetic_mask_)

    @pytest.mark.parametrize(("share", "n_repeated"), [(0, 0), (0.25, 4), (0.5, 7), (0.9, 13), (0.99, 13)])
    def test_the_share_of_repeated_images_is_that_of_fit_resample(self, share, n_repeated, shapes):
        """So the balanced set has the same composition, whether its synthetic images are stored or drawn."""
        X, y = shapes
        kind = DCGANOverSampler(n_steps=1, latent_dim=8, base_channels=4, repeated_share=share, random_state=0)
        kind.fit_resample(X, y)
        dataset = BalancedDataset(kind, X, y, random_state=0)
        assert np.array_equal(dataset.synthetic_mask, kind.synthetic_mask_)
        assert int(dataset.synthetic_mask.sum()) == 14 - n_repeated
        squares = {image.tobytes() for image in X[y == "square"]}
        repeated = {dataset[i][0].numpy().tobytes() for i in range(34, 34 + n_repeated)}
        assert repeated <= squares
        assert len(repeated) == min(n_repeated, 10)  # none twice before each came once

    def test_repeated_images_are_not_the_first_ones(self, trained, shapes):
        """Which may be those of one patient; the seed chooses them, and they stay for all epochs."""
        X, y = make_shapes(24, 20, size=8)
        chosen = []
        for seed in (0, 0, 1):
            dataset = BalancedDataset(trained, X, y, random_state=seed)
            chosen.append(dataset._rows[44:].tolist())
        first = np.flatnonzero(y == "square")[:3].tolist()
        assert chosen[0] == chosen[1]
        assert len(chosen[0]) == 3
        assert first != chosen[0] != chosen[2]

    def test_every_class_gets_synthetic_images_where_the_sampler_says_so(self, shapes):
        X, y = shapes
        trained = fit(DCGANOverSampler, X, y, synthetic_classes="all")
        dataset = BalancedDataset(trained, X, y)
        n_each = int(trained.synthetic_mask_.sum()) // 2
        assert np.bincount(dataset.targets).tolist() == [24 + n_each, 24 + n_each]
        assert np.array_equal(dataset.synthetic_mask, trained.synthetic_mask_)
        repeated = torch.stack([dataset[i][0] for i in range(34, 48)])  # real squares, none more than twice
        counts = [int((repeated == torch.from_numpy(x)).flatten(1).all(1).sum()) for x in X[y == "square"]]
        assert sum(counts) == 14
        assert set(counts) <= {1, 2}

    def test_other_images_than_those_at_fit_are_balanced_by_their_own_numbers(self, sampler):
        X, y = make_shapes(30, 5, size=8, seed=3)
        assert np.bincount(BalancedDataset(sampler, X, y).targets).tolist() == [30, 30]

    def test_labels_that_are_numbers_with_gaps_become_indices(self, shapes):
        X, y = shapes[0], np.where(shapes[1] == "disc", 3, 7)
        dataset = BalancedDataset(FakeSampler(X, [7]), X, y)
        assert dataset.classes == [3, 7]
        assert set(dataset.targets) == {0, 1}

    def test_images_are_fresh_in_each_epoch_and_an_epoch_is_always_the_same(self, sampler, shapes):
        dataset, other = (BalancedDataset(sampler, *shapes, random_state=0) for _ in "ab")
        epochs = []
        for epoch in range(3):
            dataset.set_epoch(epoch)
            epochs.append(drawn(dataset))
        assert not any(torch.equal(a, b) for a, b in itertools.combinations(epochs, 2))
        other.set_epoch(2)
        assert torch.equal(drawn(other), epochs[2])
        dataset.set_epoch(1)
        assert torch.equal(drawn(dataset), epochs[1])
        assert not torch.equal(drawn(BalancedDataset(sampler, *shapes, random_state=1)), epochs[0])

    @pytest.mark.parametrize("refresh", [1.0, 0.5, 0.3])
    def test_a_share_can_stay_and_then_depends_on_the_epoch_alone_too(self, refresh, sampler, shapes):
        dataset = BalancedDataset(sampler, *shapes, refresh=refresh, random_state=0)
        epochs = [drawn(dataset)]
        for epoch in range(1, 8):
            dataset.set_epoch(epoch)
            epochs.append(drawn(dataset))
            changed = (epochs[-1] != epochs[-2]).flatten(1).any(1).float().mean()
            assert abs(changed - refresh) < 0.1
        other = BalancedDataset(sampler, *shapes, refresh=refresh, random_state=0)
        other.set_epoch(7)
        assert torch.equal(drawn(other), epochs[7])
        everything = Drawing(sampler, [("square", 1, 14)], dataset._seed, refresh)
        images = torch.empty(14, 1, 8, 8, dtype=torch.uint8)
        everything.draw(7, images)
        assert torch.equal(images, epochs[7])

    def test_images_are_drawn_in_batches(self):
        X, y = make_shapes(700, 10, size=8)
        sampler = FakeSampler(X, ["square"])
        BalancedDataset(sampler, X, y)
        assert [n for n, *_ in sampler.asked if n] == [256, 256, 178]

    def test_nothing_to_balance_is_fine(self, sampler):
        X, y = make_shapes(6, 6, size=8)
        loader = BalancedDataLoader(BalancedDataset(sampler, X, y), batch_size=4)
        assert [len(gathered(loader)[0]) for _ in range(2)] == [12, 12]

    @pytest.mark.parametrize(
        ("layout", "shape"), [((..., None), (1, 8, 8)), ((slice(None), None), (1, 8, 8)), ("rgb", (3, 8, 8))]
    )
    def test_layouts_become_channels_first(self, layout, shape, shapes):
        X = np.stack(3 * [shapes[0]], axis=-1) if layout == "rgb" else shapes[0][layout]
        dataset = BalancedDataset(FakeSampler(X, ["square"]), X, shapes[1])
        assert dataset[0][0].shape == dataset[-1][0].shape == shape
        assert torch.equal(dataset[0][0][0], torch.from_numpy(shapes[0][0]))

    @pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint16, ">i2", bool])
    def test_dtypes_are_kept(self, dtype, shapes):
        X = (shapes[0] > 100).astype(dtype)
        dataset = BalancedDataset(FakeSampler(X, ["square"]), X, shapes[1])
        native = torch.from_numpy(X.astype(np.dtype(dtype).newbyteorder("="))).dtype
        assert dataset[0][0].dtype == dataset[-1][0].dtype == native

    def test_images_in_a_tensor_and_read_only_ones_are_taken(self, sampler, shapes, recwarn):
        X = shapes[0].copy()
        X.flags.writeable = False
        for given in (torch.from_numpy(shapes[0]), X):
            assert len(BalancedDataset(sampler, given, shapes[1])) == 48
        assert not recwarn

    def test_images_in_memory_are_not_copied(self, sampler, shapes):
        dataset = BalancedDataset(sampler, *shapes)
        assert np.shares_memory(dataset[0][0].numpy(), shapes[0])

    def test_transforms_see_real_and_synthetic_images_alike(self, sampler, shapes):
        seen = []
        dataset = BalancedDataset(
            sampler,
            *shapes,
            transform=lambda image: seen.append((image.shape, image.dtype)) or TRANSFORM(image),
            target_transform=lambda index: index + 10,
            return_synthetic=True,
        )
        image, target, is_synthetic = dataset[40]
        assert (image.dtype, target, is_synthetic) == (torch.float32, 11, True)
        assert dataset[0][1:] == (10 + dataset.targets[0], False)
        assert set(seen) == {((1, 8, 8), torch.uint8)}

    def test_random_transforms_depend_on_seed_epoch_and_index_alone(self, sampler, shapes):
        def draw(image):
            return torch.tensor([torch.rand(()).item(), np.random.rand(), random.random()])

        dataset = BalancedDataset(sampler, *shapes, transform=draw, random_state=0)
        one, many = dataset[5][0], dataset.__getitems__([7, 5, 40])
        assert torch.equal(many[1][0], one)
        assert len({tuple(image.tolist()) for image, _ in many}) == 3
        dataset.set_epoch(1)
        assert not torch.equal(dataset[5][0], one)

    def test_the_callers_random_streams_stay_where_they_were(self, trained, shapes):
        states = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()
        dataset = BalancedDataset(trained, *shapes, transform=TRANSFORM, random_state=0)
        dataset[0], dataset[-1], dataset.set_epoch(3)
        assert torch.equal(torch.get_rng_state(), states[0])
        assert (np.random.get_state()[1].tolist(), random.getstate()) == states[1:]

    def test_a_later_fit_of_the_sampler_changes_nothing(self, shapes):
        trained = fit(DCGANOverSampler, *shapes)
        dataset, other = (BalancedDataset(trained, *shapes, random_state=0) for _ in "ab")
        trained.fit_resample(shapes[0], np.where(shapes[1] == "disc", "a", "b"))
        for one in (dataset, other):
            one.set_epoch(1)
        assert torch.equal(drawn(dataset), drawn(other))

    def test_a_sampler_from_a_file_and_a_conditional_one_serve(self, shapes, tmp_path):
        trained = fit(ConditionalDCGANOverSampler, *shapes)
        trained.save(tmp_path / "file")
        read = ConditionalDCGANOverSampler.load(tmp_path / "file")
        images = [drawn(BalancedDataset(each, *shapes, random_state=0)) for each in (trained, read)]
        assert torch.equal(*images)

    def test_copies_and_pickles_go_on_alike(self, trained, shapes):
        dataset = BalancedDataset(trained, *shapes, random_state=0)
        copies = [copy.deepcopy(dataset), pickle.loads(pickle.dumps(dataset))]
        for epoch in (0, 1):
            for each in (dataset, *copies):
                each.set_epoch(epoch)
            assert all(torch.equal(drawn(each), drawn(dataset)) for each in copies)

    def test_transforms_in_place_change_nothing_that_is_stored(self, trained):
        X, y = make_shapes(24, 10, size=8)
        X = X.astype(np.float32)
        sampler = FakeSampler(X, ["square"])
        before = X.copy()
        dataset = BalancedDataset(sampler, X, y, transform=lambda image: image.sub_(10), random_state=0)
        for index in (0, len(dataset) - 1):
            first, second = dataset[index][0], dataset[index][0]
            assert torch.equal(first, second)
        assert np.array_equal(X, before)

    def test_a_shallow_copy_has_its_own_epoch(self, sampler, shapes):
        dataset = BalancedDataset(sampler, *shapes, random_state=0)
        images = drawn(dataset)
        other = copy.copy(dataset)
        other.set_epoch(1)
        assert dataset.epoch == 0
        assert torch.equal(drawn(dataset), images)
        assert not torch.equal(drawn(other), images)

    def test_an_element_is_the_same_from_either_end(self, sampler, shapes):
        dataset = BalancedDataset(sampler, *shapes, transform=v2.RandomCrop(4), random_state=0)
        assert torch.equal(dataset[-1][0], dataset[len(dataset) - 1][0])

    def test_what_cannot_draw_is_refused(self, shapes):
        X, y = shapes
        with pytest.raises(TypeError, match=r"draws images with sample.*got AugmentationOverSampler"):
            BalancedDataset(AugmentationOverSampler(), X, y)
        with pytest.raises(TypeError, match="fitted one"):
            BalancedDataset(DCGANOverSampler, X, y)
        with pytest.raises(NotFittedError, match="has no generators yet"):
            BalancedDataset(DCGANOverSampler(), X, y)

    def test_images_and_labels_that_do_not_fit_are_refused(self, sampler, shapes):
        X, y = shapes
        with pytest.raises(ValueError, match="must hold a label for each image"):
            BalancedDataset(sampler, X)
        with pytest.raises(ValueError, match=r"one label for each of the 34 images in X; got shape \(33,\)"):
            BalancedDataset(sampler, X, y[:-1])
        with pytest.raises(ValueError, match="images of the shape seen at fit"):
            BalancedDataset(sampler, X[:, :7], y)
        with pytest.raises(ValueError, match=r"\['disc'\] lack one, and there are those of \['square'\]"):
            BalancedDataset(sampler, X, np.where(y == "disc", "square", "disc"))
        for refresh in (0, 1.5, True, "half"):
            with pytest.raises(ValueError, match=r"refresh must be a number in \(0, 1\]"):
                BalancedDataset(sampler, X, y, refresh=refresh)

    @pytest.mark.parametrize("epoch", [-1, 1.0, True, None])
    def test_an_epoch_that_is_no_number_is_refused(self, epoch, sampler, shapes):
        with pytest.raises(ValueError, match="epoch must be an integer of at least 0"):
            BalancedDataset(sampler, *shapes).set_epoch(epoch)

    @pytest.mark.parametrize("index", [48, -49])
    def test_an_index_beyond_the_end_is_refused(self, index, sampler, shapes):
        with pytest.raises(IndexError, match="index must be from -48 to 47"):
            BalancedDataset(sampler, *shapes)[index]


class TestFolder:
    @pytest.fixture
    def folder(self, shapes, tmp_path):
        X, y = make_shapes(24, 10, size=12)
        return write_folder(tmp_path / "images", X, y)

    @pytest.fixture
    def grey(self, folder):
        data = load_image_folder(folder, image_size=8)
        return FakeSampler(data.images, ["square"])

    def test_pictures_come_as_the_folder_gives_them_in_the_size_of_the_sampler(self, grey, folder):
        dataset = BalancedDataset(grey, ImageFolder(folder))
        assert dataset.classes == ["disc", "square"]
        assert np.bincount(dataset.targets).tolist() == [24, 24]
        pictures = [dataset[i][0] for i in (0, 47)]
        assert {(picture.mode, picture.size) for picture in pictures} == {("RGB", (8, 8))}
        known = load_image_folder(folder, image_size=8)
        assert np.array_equal(np.asarray(dataset[0][0])[..., 0], known.images[0])

    def test_transforms_of_the_folder_come_first_and_see_synthetic_images_too(self, grey, folder):
        files = ImageFolder(
            folder, transform=v2.Compose([v2.Grayscale(), v2.ToImage()]), target_transform=lambda index: index + 5
        )
        dataset = BalancedDataset(grey, files, transform=v2.ToDtype(torch.float32, scale=True))
        for i in (0, 47):
            image, target = dataset[i]
            assert (image.shape, image.dtype, target) == ((1, 8, 8), torch.float32, 5 + dataset.targets[i])

    def test_nested_subsets_are_what_is_balanced(self, grey, folder):
        files = ImageFolder(folder, transform=v2.ToImage())
        rows = [*range(0, 24, 2), *range(24, 30)]
        subset = Subset(Subset(files, rows), range(2, 18))
        dataset = BalancedDataset(grey, subset, resize=False)
        assert np.bincount(dataset.targets).tolist() == [10, 10]
        for i in range(16):
            image, target = subset[i]
            assert torch.equal(dataset[i][0], image)
            assert dataset.targets[i] == target

    def test_sizes_are_left_alone_on_request(self, grey, folder):
        dataset = BalancedDataset(grey, ImageFolder(folder), resize=False)
        assert [dataset[i][0].size for i in (0, 47)] == [(12, 12), (8, 8)]

    def test_classes_are_known_by_index_too(self, grey, folder):
        grey.generators_ = {1: None}
        assert np.bincount(BalancedDataset(grey, ImageFolder(folder)).targets).tolist() == [24, 24]

    def test_any_set_with_targets_is_taken(self, grey, shapes):
        class InMemory(torch.utils.data.Dataset):
            targets = torch.tensor([0] * 24 + [1] * 10)
            transform = v2.ToImage()

            def __len__(self):
                return 34

            def __getitem__(self, index):
                return self.transform(Image.fromarray(shapes[0][index])), int(self.targets[index])

        grey.generators_ = {1: None}
        dataset = BalancedDataset(grey, InMemory())
        assert dataset.classes == [0, 1]
        assert torch.equal(dataset[3][0], InMemory()[3][0])
        assert dataset[47][0].shape == (1, 8, 8)

    def test_a_seed_gives_the_same_batches_in_workers(self, grey, folder):
        files = ImageFolder(folder, transform=v2.Compose([v2.RandomRotation(30), v2.ToImage()]))
        runs = [
            gathered(BalancedDataLoader(BalancedDataset(grey, files, random_state=0), 7, num_workers=n), 2)
            for n in (0, 2)
        ]
        assert all(torch.equal(a, b) for a, b in zip(*runs, strict=True))

    def test_colour_that_the_sampler_does_not_know_is_refused(self, grey, folder):
        """Else a grey image would be a synthetic one, and of the rare class."""
        Image.fromarray(np.random.RandomState(0).randint(0, 256, (12, 12, 3), dtype=np.uint8)).save(
            folder / "square" / "000.png"
        )
        with pytest.raises(ValueError, match=r"sampler must have seen images with colour.*'square'"):
            BalancedDataset(grey, ImageFolder(folder))

    def test_what_does_not_fit_a_folder_is_refused(self, grey, folder, shapes):
        files = ImageFolder(folder)
        with pytest.raises(ValueError, match="y must be None where X is a torch Dataset"):
            BalancedDataset(grey, files, files.targets)
        with pytest.raises(ValueError, match=r"with targets like torchvision's ImageFolder.*got TensorDataset"):
            BalancedDataset(grey, TensorDataset(torch.zeros(3)))
        floats = FakeSampler(shapes[0] / 255, ["square"])
        with pytest.raises(ValueError, match=r"images of bytes.*it was on float64"):
            BalancedDataset(floats, files)
        grey.generators_ = {"cube": None}
        with pytest.raises(ValueError, match=r"classes of the data set.*got generators of \['cube'\]"):
            BalancedDataset(grey, files)
        grey.generators_ = {"square": None}
        with pytest.raises(ValueError, match="must return images of Pillow's; got ndarray"):
            BalancedDataset(grey, ImageFolder(folder, loader=lambda path: np.asarray(Image.open(path))))


class TestLoader:
    @pytest.mark.parametrize(
        "options",
        [
            {"num_workers": 2},
            {"num_workers": 2, "persistent_workers": True},
            {"num_workers": 1, "persistent_workers": True, "multiprocessing_context": "spawn"},
            {"draw_ahead": False},
            {"num_workers": 1, "persistent_workers": True, "draw_ahead": False},
        ],
        ids=str,
    )
    def test_batches_are_the_same_for_any_workers(self, options, trained, shapes):
        runs = []
        for each in ({}, options):
            dataset = BalancedDataset(trained, *shapes, transform=TRANSFORM, random_state=0)
            runs.append(gathered(BalancedDataLoader(dataset, batch_size=7, **each), 3))
        assert torch.equal(runs[0][0], runs[1][0])
        assert torch.equal(runs[0][1], runs[1][1])

    @pytest.mark.parametrize("draw_ahead", [True, False])
    def test_each_iteration_is_an_epoch_with_images_and_order_of_its_own(self, draw_ahead, sampler, shapes):
        dataset = BalancedDataset(sampler, *shapes, random_state=0)
        loader = BalancedDataLoader(dataset, batch_size=48, draw_ahead=draw_ahead)
        epochs = []
        for epoch in range(4):
            images, classes = gathered(loader)
            assert dataset.epoch == epoch
            assert classes.bincount().tolist() == [24, 24]
            epochs.append((images, classes, drawn(dataset)))
        for first, second in itertools.combinations(epochs, 2):
            assert not torch.equal(first[1], second[1])
            assert not torch.equal(first[2], second[2])
        expected = BalancedDataset(sampler, *shapes, random_state=0)
        expected.set_epoch(3)
        assert torch.equal(drawn(expected), epochs[3][2])

    def test_an_epoch_can_be_chosen_and_an_iteration_that_is_left_ends_it(self, sampler, shapes):
        dataset = BalancedDataset(sampler, *shapes, random_state=0)
        loader = BalancedDataLoader(dataset, batch_size=5)
        epochs = []
        loader.set_epoch(4)
        for _ in range(2):
            next(iter(loader))
            epochs.append(dataset.epoch)
        dataset.set_epoch(5)  # the same once more
        next(iter(loader))
        epochs.append(dataset.epoch)
        dataset.set_epoch(2)
        next(iter(loader))
        assert [*epochs, dataset.epoch] == [4, 5, 5, 2]

    def test_the_next_epoch_is_drawn_in_a_thread_and_never_in_a_worker(self, sampler, shapes):
        loader = BalancedDataLoader(BalancedDataset(sampler, *shapes), batch_size=5, num_workers=1)
        next(iter(loader))
        asked = loader.dataset._drawing.sampler.asked
        loader.dataset._finish_drawing_ahead(1)
        threads = [thread for n, _, thread in asked if n]
        assert threads[0] is threading.main_thread()
        assert threads[-1] is not threading.main_thread()
        n_asked = len(asked)
        loader.set_epoch(1)
        assert len(asked) == n_asked  # not drawn once more

    def test_what_goes_wrong_in_the_thread_is_raised_at_the_next_epoch(self, sampler, shapes):
        loader = BalancedDataLoader(BalancedDataset(sampler, *shapes), batch_size=5)

        def fail(*_, **__):
            raise RuntimeError("out of memory")

        loader.dataset._drawing.sampler.sample = fail
        gathered(loader)
        with pytest.raises(RuntimeError, match="out of memory"):
            next(iter(loader))

    def test_no_thread_outlives_the_data_set(self, shapes):
        trained = fit(DCGANOverSampler, *shapes)
        trained.sampling_strategy = {"square": 20_000}
        loader = BalancedDataLoader(BalancedDataset(trained, *shapes), batch_size=5)
        next(iter(loader))
        assert [thread for thread in threading.enumerate() if thread.name == "BalancedDataset"]
        del loader
        assert not [thread for thread in threading.enumerate() if thread.name == "BalancedDataset"]

    def test_order_is_that_of_the_set_on_request(self, sampler, shapes):
        dataset = BalancedDataset(sampler, *shapes)
        _, classes = gathered(BalancedDataLoader(dataset, 5, shuffle=False))
        assert classes.tolist() == dataset.targets

    def test_processes_of_a_distributed_training_share_an_epoch(self, sampler, shapes):
        """All images once, and another order in the next epoch, of which the sampler is told."""
        seen = []
        for rank in range(2):
            dataset = BalancedDataset(sampler, *shapes, return_synthetic=True, random_state=0)
            share = DistributedSampler(dataset, num_replicas=2, rank=rank)
            loader = BalancedDataLoader(dataset, batch_size=6, sampler=share)
            seen.append([gathered(loader), gathered(loader)])
            assert share.epoch == 1
        whole = BalancedDataset(sampler, *shapes, random_state=0)
        whole.set_epoch(1)
        images = torch.cat([epochs[1][0] for epochs in seen])
        expected = torch.stack([whole[i][0] for i in range(48)])
        assert sorted(images.sum((1, 2, 3)).tolist()) == sorted(expected.sum((1, 2, 3)).tolist())

    def test_a_subset_advances_too(self, sampler, shapes):
        dataset = BalancedDataset(sampler, *shapes)
        loader = BalancedDataLoader(Subset(dataset, range(20, 48)), batch_size=28)
        assert [len(gathered(loader)[0]) for _ in range(2)] == [28, 28]
        assert dataset.epoch == 1

    def test_a_plain_loader_needs_set_epoch_alone(self, sampler, shapes):
        dataset = BalancedDataset(sampler, *shapes, random_state=0)
        loader = DataLoader(dataset, batch_size=48, num_workers=1)
        first = gathered(loader)[0]
        dataset.set_epoch(1)
        second = gathered(loader)[0]
        assert torch.equal(first[:34], second[:34])
        assert not torch.equal(first[34:], second[34:])

    def test_workers_that_are_older_than_the_epoch_say_so_or_share_memory(self, sampler, shapes):
        """Else they would give the images of the first epoch for ever."""
        for is_shared in (False, True):
            dataset = BalancedDataset(sampler, *shapes, random_state=0)
            if is_shared:
                dataset.share_memory_()
            loader = DataLoader(dataset, batch_size=48, num_workers=1, persistent_workers=True)
            gathered(loader)
            dataset.set_epoch(1)
            if is_shared:
                assert torch.equal(gathered(loader)[0][34:], drawn(dataset))
            else:
                with pytest.raises(RuntimeError, match="images of an earlier epoch"):
                    gathered(loader)

    def test_a_worker_does_not_draw(self, sampler, shapes):
        def draw(image):
            if torch.utils.data.get_worker_info() is not None:
                dataset.set_epoch(1)
            return image

        dataset = BalancedDataset(sampler, *shapes, transform=draw)
        with pytest.raises(RuntimeError, match="must be called in the process that made the data set"):
            gathered(BalancedDataLoader(dataset, 5, num_workers=1))

    def test_another_data_set_is_refused(self):
        with pytest.raises(TypeError, match=r"dataset must be a BalancedDataset.*got TensorDataset"):
            BalancedDataLoader(TensorDataset(torch.zeros(3)))


def camera(n_images=None, *, share=0.1, late=None, seed=0, size=8):
    """Yield discs (0) and, rarely, squares (1), those only from image `late` on."""
    X, y = make_shapes(60, 60, size=size, seed=seed)
    rng = np.random.RandomState(seed)
    for i in itertools.count() if n_images is None else range(n_images):
        label = int(rng.rand() < share and (late is None or i >= late))
        own = X[y == ("square" if label else "disc")]
        yield own[rng.randint(len(own))], label


class TestStream:
    def make(self, stream, *, repeated_share=0.5, **parameters):
        sampler = DCGANOverSampler(n_steps=2, latent_dim=8, base_channels=4, repeated_share=repeated_share)
        return BalancedIterableDataset(
            stream, sampler, **{"min_images": 10, "random_state": 0, "return_synthetic": True, **parameters}
        )

    def test_transforms_in_place_change_nothing_that_is_remembered(self):
        images = [(np.full((8, 8), 100, dtype=np.float32), 0) for _ in range(9)]
        images.append((np.full((8, 8), 100, dtype=np.float32), 1))
        images += images[:9]
        stream = BalancedIterableDataset(
            images, DCGANOverSampler(value_range=(0, 255)), transform=lambda image: image.sub_(10), random_state=0
        )
        given = [image for image, _ in stream]
        assert stream.n_repeated > 0
        assert all((image == 90).all() for image in given)
        assert all((image == 100).all() for image, _ in images)

    def test_each_image_comes_through_and_classes_are_balanced(self):
        dataset = self.make(camera(600), return_synthetic=False)
        images, labels = zip(*dataset, strict=True)
        real = iter(camera(600))
        n_found, wanted = 0, next(real)[0]
        for image in images:
            if n_found < 600 and np.array_equal(image[0], wanted):
                n_found += 1
                wanted = next(real, (None,))[0]
        assert n_found == 600
        assert abs(np.mean(labels) - 0.5) < 0.05
        assert {(image.shape, image.dtype) for image in images} == {((1, 8, 8), torch.uint8)}
        assert dataset.n_seen == 600
        assert len(images) == 600 + dataset.n_synthetic + dataset.n_repeated

    def test_images_are_repeated_until_a_generator_is_there(self):
        given = list(self.make(camera(400), repeated_share=0))
        is_synthetic = np.array([flag for *_, flag in given])
        labels = np.array([label for _, label, _ in given])
        first = int(np.flatnonzero(is_synthetic)[0])
        squares, y = make_shapes(60, 60, size=8)
        known = {image.tobytes() for image in squares[y == "square"]}
        assert all(image.numpy().tobytes() in known for image, label, flag in given if label == 1 and not flag)
        n_before = len({image.numpy().tobytes() for image, label, _ in given[:first] if label == 1})
        assert (labels[:first] == 1).sum() > n_before  # some came again
        assert is_synthetic[first:][labels[first:] == 1].mean() > 0.8
        assert not is_synthetic[labels == 0].any()

    def test_a_generator_is_trained_when_there_are_enough_images_and_again_on_request(self):
        once, often = self.make(camera(400)), self.make(camera(400), refit_every=100)
        for dataset in (once, often):
            list(dataset)
        assert once.n_fits == 1
        assert 3 <= often.n_fits <= 5
        assert once.sampler.sample(3, 1).shape == (3, 8, 8)

    def test_a_class_that_comes_late_is_caught_up_with_step_by_step(self):
        """After each real image at most one more of each class, so that no batch is of few images many times over."""
        given = list(self.make(camera(1500, late=300, share=0.2), window=300))
        labels = np.array([label for _, label, _ in given])
        assert labels[:300].sum() == 0
        assert labels[-400:].mean() == pytest.approx(0.5, abs=0.06)
        runs = [len(list(run)) for label, run in itertools.groupby(labels) if label]
        assert max(runs) <= 12  # two for each of a few real squares in a row

    def test_balance_is_that_of_late(self):
        """When the rare class becomes the common one, the other is made up for."""
        stream = itertools.chain(camera(600, share=0.1), camera(900, share=0.9, seed=1))
        dataset = self.make(stream, window=200)
        given = list(dataset)
        assert np.mean([label for _, label, _ in given[-400:]]) == pytest.approx(0.5, abs=0.06)
        assert any(flag for _, label, flag in given[-400:] if label == 0)
        assert dataset.counts[1] > 5 * dataset.counts[0]

    def test_a_ratio_below_one_makes_fewer(self):
        labels = [label for _, label, _ in self.make(camera(900), ratio=0.5)]
        assert np.mean(labels[-900:]) == pytest.approx(1 / 3, abs=0.05)

    def test_a_class_that_never_comes_is_never_drawn(self):
        names = ["disc", "square", "cube"]
        stream = ((image, names[label]) for image, label in camera(200))
        dataset = self.make(stream, classes=names)
        assert {label for _, label, _ in dataset} == {0, 1}
        assert set(dataset.counts) == {"disc", "square"}
        assert dataset.sampler.sample(1, "square").shape == (1, 8, 8)

    def test_a_stream_of_one_class_comes_through_as_it_is(self):
        assert len(list(self.make(camera(50, share=0)))) == 50

    def test_a_seed_gives_the_same_output_and_no_stream_of_the_caller_moves(self):
        states = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()
        runs = [
            list(self.make(camera(200), transform=TRANSFORM, refit_every=90, random_state=seed)) for seed in (0, 0, 1)
        ]
        assert torch.equal(torch.get_rng_state(), states[0])
        assert (np.random.get_state()[1].tolist(), random.getstate()) == states[1:]
        same = [
            len(a) == len(b) and all(torch.equal(x[0], y[0]) for x, y in zip(a, b, strict=True))
            for a, b in ((runs[0], runs[1]), (runs[0], runs[2]))
        ]
        assert same == [True, False]

    def test_recent_images_are_kept_and_a_camera_may_reuse_its_memory(self):
        def reusing():
            memory = np.zeros((8, 8), dtype=np.uint8)
            for i in range(200):
                memory[:] = i
                yield memory, 0

        dataset = self.make(reusing(), buffer_size=20)
        list(dataset)
        values = sorted(int(image[0, 0]) for image in dataset._classes[0].images)
        assert len(set(values)) > 15
        assert np.mean(values) > 150

    def test_a_fitted_sampler_serves_from_the_start(self, trained):
        stream = ((image, ["disc", "square"][label]) for image, label in camera(60, share=0.3))
        dataset = BalancedIterableDataset(stream, trained, classes=["disc", "square"], random_state=0)
        list(dataset)
        assert dataset.n_synthetic > 3
        assert dataset.n_fits == 0
        assert dataset.n_repeated // 3 in (dataset.n_synthetic - 1, dataset.n_synthetic)  # every fourth is drawn

    @pytest.mark.parametrize("share", [0, 0.25, 0.8])
    def test_the_share_of_repeated_images_is_the_samplers(self, share):
        """From the time on at which there is a generator."""
        dataset = self.make(camera(400), repeated_share=share)
        flags = [flag for *_, flag in dataset]
        n_before = dataset.n_repeated
        dataset.stream = camera(400, seed=1)
        extra = len(list(dataset)) - 400
        assert any(flags)
        assert abs(dataset.n_repeated - n_before - share * extra) <= 1

    def test_a_training_that_fails_is_told_and_not_tried_at_every_image(self, monkeypatch):
        calls = []

        def fail(self, X, y):
            calls.append(len(y))
            raise FloatingPointError("diverged")

        monkeypatch.setattr(DCGANOverSampler, "fit_resample", fail)
        dataset = self.make(camera(600))
        with pytest.warns(UserWarning, match="failed, and it goes on without: diverged"):
            labels = [label for _, label, _ in dataset]
        assert 1 < len(calls) < 5
        assert abs(np.mean(labels) - 0.5) < 0.06

    def test_images_that_are_refused_are_not_given_out(self):
        """on_poor_quality="repeat" holds here too."""
        sampler = DCGANOverSampler(n_steps=1, latent_dim=8, base_channels=4, on_poor_quality="repeat")
        dataset = BalancedIterableDataset(camera(300), sampler, min_images=10, return_synthetic=True, random_state=0)
        with pytest.warns(UserWarning, match="Real images are repeated"):
            flags = [flag for *_, flag in dataset]
        assert dataset.n_fits > 0
        assert not any(flags)

    @pytest.mark.parametrize("n_workers", [0, 1])
    def test_a_loader_batches_it(self, n_workers):
        dataset = self.make(camera(), return_synthetic=False)
        images, labels = next(iter(DataLoader(dataset, batch_size=300, num_workers=n_workers)))
        assert images.shape == (300, 1, 8, 8)
        assert labels.dtype == torch.int64
        assert 0.3 < labels.float().mean() < 0.6

    def test_several_workers_are_refused_unless_the_stream_divides(self):
        class Shards:
            def __init__(self, parts):
                self.parts = parts

            def shard(self, num_shards, index):
                return itertools.chain.from_iterable(camera(60, seed=seed) for seed in self.parts[index::num_shards])

        with pytest.raises(RuntimeError, match="num_workers must be 0 or 1 for this stream, a generator"):
            list(DataLoader(self.make(camera(30)), batch_size=4, num_workers=2))
        given = list(DataLoader(self.make(Shards([0, 1])), batch_size=None, num_workers=2))
        real = {image.numpy().tobytes() for image, _, flag in given if not flag}
        expected = {image.tobytes() for seed in (0, 1) for image, _ in camera(60, seed=seed)}
        assert real == expected

    def test_it_is_what_torch_calls_one(self):
        assert isinstance(self.make(camera(1)), IterableDataset)

    @pytest.mark.parametrize(
        ("to_given", "shape"),
        [
            (Image.fromarray, (1, 8, 8)),
            (torch.from_numpy, (1, 8, 8)),
            (lambda image: np.stack(3 * [image], axis=-1), (3, 8, 8)),
            (lambda image: np.stack(3 * [image]), (3, 8, 8)),
            (lambda image: image.astype(np.float32), (1, 8, 8)),
        ],
    )
    def test_images_come_in_any_form(self, to_given, shape):
        dataset = self.make((to_given(image), torch.tensor(label)) for image, label in camera(120))
        given = list(dataset)
        assert {image.shape for image, *_ in given} == {shape}
        assert len({image.dtype for image, *_ in given}) == 1
        assert any(flag for *_, flag in given)

    def test_what_does_not_fit_is_refused(self):
        images = [np.zeros((8, 8), np.uint8), np.zeros((9, 8), np.uint8)]
        with pytest.raises(ValueError, match=r"one shape and dtype, \(8, 8\) and uint8.*got \(9, 8\).*image 2"):
            list(self.make(zip(images, [0, 0], strict=True)))
        with pytest.raises(ValueError, match="integers as labels where classes is None; got 'disc'"):
            list(self.make([(images[0], "disc")]))
        with pytest.raises(ValueError, match=r"in classes, \['disc'\]; got 'square'"):
            list(self.make([(images[0], "square")], classes=["disc"]))
        with pytest.raises(TypeError, match=r"draws images with sample after a fit.*got AugmentationOverSampler"):
            BalancedIterableDataset([], AugmentationOverSampler())
        for name, value in [("ratio", 0), ("window", 0), ("refit_every", 1.5), ("buffer_size", 1), ("min_images", 1)]:
            with pytest.raises(ValueError, match=f"{name} must be"):
                self.make([], **{name: value})
        with pytest.raises(ValueError, match="min_images must be at most buffer_size, 5; got 10"):
            self.make([], buffer_size=5)


def test_seeds_of_images_differ():
    seeds = {quick_seed(seed, epoch, index) for seed in range(3) for epoch in range(30) for index in range(300)}
    assert len(seeds) == 3 * 30 * 300
    assert all(0 <= seed < 2**63 for seed in seeds)
    bits = np.array([[seed >> bit & 1 for bit in range(63)] for seed in seeds])
    assert (abs(bits.mean(0) - 0.5) < 0.02).all()
