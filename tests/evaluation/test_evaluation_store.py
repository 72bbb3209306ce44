"""The folder of an evaluation: whole files, damaged files, a cache with a limit."""

import itertools
import os

import numpy as np
import pytest

from gan_sampler.evaluation import _store
from gan_sampler.evaluation._store import Store, StoreError, StoreWarning, atomic, digest_of, versions


def test_digests_tell_values_types_and_shapes_apart():
    parts = [
        np.arange(4),
        np.arange(4).astype(np.float32),
        np.arange(4).reshape(2, 2),
        np.arange(5),
        "arange",
        ["a", "range"],
        {"a": 1},
        None,
    ]
    assert len({digest_of(part) for part in parts}) == len(parts)
    assert digest_of({"a": 1, "b": 2}) == digest_of({"b": 2, "a": 1})
    assert digest_of("a", "b") != digest_of("ab")
    assert digest_of(np.arange(8)[::2]) == digest_of(np.array([0, 2, 4, 6]))


def test_source_counts_where_it_makes_numbers_and_not_where_it_shows_them(tmp_path, monkeypatch):
    """After editing a metric, 0 of 3 cells were computed anew."""
    package = tmp_path / "gan_sampler"
    (package / "evaluation" / "_report").mkdir(parents=True)
    files = ["evaluation/_metrics.py", "evaluation/_jobs.py", "evaluation/_report/_page.py", "classifiers.py"]
    for name in files:
        (package / name).write_text("1")
    monkeypatch.setattr(_store, "__file__", str(package / "evaluation" / "_store.py"))
    hashes = [_store._hash_of_source.__wrapped__()]
    for name in files:
        (package / name).write_text("2")
        hashes.append(_store._hash_of_source.__wrapped__())
    changed = [before != after for before, after in itertools.pairwise(hashes)]
    assert changed == [True, True, False, True]


def test_versions_name_what_computes():
    assert {"gan_sampler", "source", "torch", "scikit-learn", "imbalanced-learn", "numpy"} <= set(versions())


def test_killed_write_leaves_the_old_file(tmp_path):
    """Half a record would stop every later run."""
    file = tmp_path / "cell.json"
    file.write_text("old", encoding="utf-8")

    def write_half():
        with atomic(file) as temporary:
            temporary.write_text("ne", encoding="utf-8")
            raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        write_half()
    assert file.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_writers_of_one_file_do_not_share_a_temporary_one(tmp_path):
    """Two runs on one folder, on two machines or in two threads, must not write into each other's half file."""
    file = tmp_path / "cell.json"
    with atomic(file) as first, atomic(file) as second:
        first.write_text("first", encoding="utf-8")
        second.write_text("second", encoding="utf-8")
    assert file.read_text(encoding="utf-8") == "first"  # the last to end
    assert list(tmp_path.iterdir()) == [file]


def test_file_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    """Else a loss of power leaves an empty file under the right name."""
    done = []
    monkeypatch.setattr(_store.os, "fsync", lambda handle: done.append(os.fstat(handle).st_size))
    rename = os.replace
    monkeypatch.setattr(_store.os, "replace", lambda *paths: (done.append("replace"), rename(*paths)))
    with atomic(tmp_path / "cell.json") as temporary:
        temporary.write_text("record", encoding="utf-8")
    assert done[:2] == [6, "replace"]


def test_folder_that_cannot_be_made_is_named_with_the_way_out(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match=r"could not be written to .*file.*Finished results are kept"):
        Store(tmp_path / "file").write_record({"key": "k"})


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (lambda good: b"", "Expecting value"),
        (lambda good: good[: len(good) // 2], "Unterminated|Expecting"),
        (lambda good: b"\xff\xfe\x00", "decode"),
        (lambda good: b"[1, 2]", "it has no sha256 and values"),
        (lambda good: b"[" * 100_000, "recursion"),
        (lambda good: good.replace(b"0.5", b"0.9"), "its checksum does not fit"),
    ],
    ids=["empty", "truncated", "binary", "foreign", "deep", "changed"],
)
def test_record_that_cannot_be_used_is_named_and_kept_aside(tmp_path, content, reason):
    """One empty file made every later run a traceback."""
    store = Store(tmp_path)
    store.write_record({"key": "k", "score": 0.5})
    file = tmp_path / "cells" / "k.json"
    bad = content(file.read_bytes())
    file.write_bytes(bad)
    with pytest.warns(UserWarning, match=f"({reason}).*k.json.damaged"):
        assert store.find_record("k") is None
    assert file.with_name("k.json.damaged").read_bytes() == bad
    assert store.records() == []


def test_record_of_another_cell_is_not_taken_for_it(tmp_path):
    store = Store(tmp_path)
    store.write_record({"key": "one"})
    os.replace(tmp_path / "cells" / "one.json", tmp_path / "cells" / "two.json")
    with pytest.warns(UserWarning, match="is the record of another key, one"):
        assert store.find_record("two") is None


def test_shared_work_comes_back_as_it_was(tmp_path):
    store = Store(tmp_path)
    assert store.read_shared("k") is None
    arrays = {"index": np.arange(3), "new": np.zeros((0, 8, 8), dtype=np.uint8)}
    store.write_shared("k", arrays, {"seconds": 1.5, "warnings": []})
    found, values = store.read_shared("k")
    assert values == {"seconds": 1.5, "warnings": []}
    assert {name: (a.dtype, a.shape) for name, a in found.items()} == {n: (a.dtype, a.shape) for n, a in arrays.items()}
    (tmp_path / "cache" / "k.npz").write_bytes(b"PK\x03\x04 half")
    with pytest.warns(UserWarning, match="is removed and computed again"):
        assert store.read_shared("k") is None
    assert not store.has_shared("k")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"no pictures"], ids=["empty", "truncated", "foreign"])
def test_damaged_pictures_are_told_and_made_again(tmp_path, content):
    """They made every later run and report of the command a traceback."""
    store = Store(tmp_path)
    store.write_pictures("k", {"map": np.arange(3)})
    assert store.read_pictures("k")["map"].tolist() == [0, 1, 2]
    (tmp_path / "pictures" / "k.npz").write_bytes(content)
    with pytest.warns(StoreWarning, match="k.npz is damaged"):
        assert store.read_pictures("k") is None
    assert store.read_pictures("k") is None


def test_cache_keeps_to_its_limit_and_to_what_was_used_last(tmp_path):
    store = Store(tmp_path)
    for number in range(4):
        store.write_shared(f"k{number}", {"a": np.zeros(25_000)}, {})
        os.utime(tmp_path / "cache" / f"k{number}.npz", (number, number))
    store.read_shared("k0")
    assert store.cache_size() > 800_000
    store.prune(500_000, keep={"k1"})
    assert [store.has_shared(f"k{number}") for number in range(4)] == [True, True, False, False]
    store.prune(0)
    assert store.cache_size() == 0


def test_images_are_mapped_and_not_read(tmp_path):
    store = Store(tmp_path)
    images = np.arange(128, dtype=np.uint8).reshape(2, 8, 8)
    store.write_data("s", images, {"target": [0, 1], "groups": None})
    found, values = store.read_data("s")
    assert isinstance(found, np.memmap)
    np.testing.assert_array_equal(found, images)
    assert values["target"] == [0, 1]


def test_unfinished_files_of_killed_processes_are_removed_when_they_are_old(tmp_path):
    """Others may be at work at young ones."""
    for name, age in (("old", 5000), ("young", 5)):
        (tmp_path / f".{name}.tmp").touch()
        now = (tmp_path / f".{name}.tmp").stat().st_mtime
        os.utime(tmp_path / f".{name}.tmp", (now - age, now - age))
    Store(tmp_path).remove_abandoned()
    assert [file.name for file in tmp_path.iterdir()] == [".young.tmp"]
