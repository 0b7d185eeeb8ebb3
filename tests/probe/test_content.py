"""What data are, by what is decoded of them: the same however they are stored, and nothing else is."""

from __future__ import annotations

import os
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from ncore.probe import _content_cache
from ncore.probe._content import SKETCHED, digests_of
from ncore.probe.datasets import Dataset, load_dataset
from ncore.probe.images import InputSpec
from ncore.probe.modalities.pictures import picture_digest, upright
from ncore.probe.sources import pools as sources
from ncore.probe.sources.data_files import ParquetPictures
from ncore.probe.sources.pictures import FilePictures
from ncore.store.manifest import check_digests

COUNT = 90


def pixels(count=COUNT, seed=0, shape=(12, 10, 3)):
    return np.random.default_rng(seed).integers(0, 256, (count, *shape), dtype=np.uint8)


X, Y = pixels(), np.arange(COUNT) % 3
NAMES = ["cat", "dog", "owl"]


def as_folder(place, suffix=".png", order=range(COUNT), mode="RGB", **options):
    for at, row in enumerate(order):
        folder = place / "pets" / NAMES[Y[row]]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(X[row]).convert(mode).save(folder / f"{at}{suffix}", **options)
    return f"folder:{place / 'pets'}"


def as_parquet(place, order=range(COUNT)):
    import io

    rows = []
    for row in order:
        out = io.BytesIO()
        Image.fromarray(X[row]).save(out, "PNG")
        rows.append({"image": {"bytes": out.getvalue(), "path": None}, "label": NAMES[Y[row]]})
    pq.write_table(pa.Table.from_pylist(rows), place / "all.parquet", row_group_size=7)
    return f"parquet:{place / 'all.parquet'}"


def as_arrays(place, order=range(COUNT)):
    order = list(order)
    np.savez(place / "all.npz", x=X[order], y=Y[order], class_names=NAMES)
    return f"numpy:{place / 'all.npz'}"


FORMS = {
    "png": as_folder,
    "bmp": lambda place: as_folder(place, ".bmp"),
    "opaque alpha": lambda place: as_folder(place, mode="RGBA"),
    "other compression": lambda place: as_folder(place, compress_level=1),
    "another order": lambda place: as_folder(place, order=range(COUNT - 1, -1, -1)),
    "parquet": as_parquet,
    "parquet, another order": lambda place: as_parquet(place, range(COUNT - 1, -1, -1)),
    "arrays": as_arrays,
}


@pytest.mark.parametrize("form", FORMS)
def test_the_same_content_has_the_same_digest_in_every_form(tmp_path, form):
    found = digests_of(load_dataset(FORMS[form](tmp_path)))
    check_digests(found)
    expected = digests_of(Dataset.from_arrays(X, Y, class_names=NAMES))
    assert (found["data"], found["sketch"]) == (expected["data"], expected["sketch"])
    assert len(found["sketch"]) == SKETCHED


@given(row=st.integers(0, COUNT - 1), at=st.integers(0, 359), change=st.integers(1, 255))
def test_one_pixel_and_one_label_make_other_data(row, at, change):
    first = digests_of(Dataset.from_arrays(X, Y, class_names=NAMES))
    other = X.copy()
    other[row].reshape(-1)[at] ^= np.uint8(change)
    assert digests_of(Dataset.from_arrays(other, Y, class_names=NAMES))["data"] != first["data"]
    labels = Y.copy()
    labels[row] = (labels[row] + 1 + change % 2) % 3
    relabelled = digests_of(Dataset.from_arrays(X, labels, class_names=NAMES))
    assert relabelled["data"] != first["data"]
    assert relabelled["sketch"] == first["sketch"]  # the same pictures, called otherwise


def test_labels_count_by_their_names():
    first = digests_of(Dataset.from_arrays(X, Y, class_names=NAMES))
    turned = digests_of(Dataset.from_arrays(X, 2 - Y, class_names=NAMES[::-1]))
    assert turned["data"] == first["data"]
    assert digests_of(Dataset.from_arrays(X, Y, class_names=["a", "b", "c"]))["data"] != first["data"]
    composed, parted = (digests_of(Dataset.from_arrays(X, Y, class_names=["é", form, "c"]))["data"]
                        for form in ("ü", "u\u0308"))  # fmt: skip
    assert composed == parted


@pytest.mark.parametrize("resplit", [False, True])
@pytest.mark.parametrize("sizes", [{}, {"train": 30}])
def test_seeds_of_the_cut(tmp_path, resplit, sizes):
    spec = {"source": as_arrays(tmp_path), "resplit": resplit, **sizes}
    first, again, other = (digests_of(load_dataset(spec, seed=seed)) for seed in (0, 0, 1))
    assert first == again
    assert first["cut"] != other["cut"]
    assert (first["data"] == other["data"]) == (resplit or not sizes)


def test_nothing_depends_on_what_a_candidate_wants(tmp_path):
    data = load_dataset(as_folder(tmp_path, ".jpg", quality=90))
    before = digests_of(data)
    for size in (2, 5, 64):
        data.splits["train"].tensor(InputSpec(3, size, (0.5,), (0.5,)))
        assert digests_of(data) == before == digests_of(load_dataset(f"folder:{tmp_path / 'pets'}"))


def saved(place, image, suffix, **options):
    image.save(place / f"picture{suffix}", **options)
    with Image.open(place / f"picture{suffix}") as opened:
        return picture_digest(upright(opened))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_count_upright(tmp_path, orientation):
    from PIL import ImageOps

    exif = Image.Exif()
    exif[0x0112] = orientation
    lying = Image.fromarray(X[0])
    turned = saved(tmp_path, lying, ".png", exif=exif)
    lying.getexif()[0x0112] = orientation
    standing = ImageOps.exif_transpose(lying)
    assert turned == picture_digest(standing)
    assert (turned == picture_digest(Image.fromarray(X[0]))) == (orientation == 1)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB"])
@pytest.mark.parametrize("suffix", [".png", ".gif", ".bmp", ".tif"])
def test_modes_of_eight_bits_are_one(tmp_path, mode, suffix):
    image = Image.fromarray(X[0]).quantize(7).convert("RGB").convert(mode)
    if mode == "RGB" and suffix == ".gif":
        image = image.quantize(16)
    assert saved(tmp_path, image, suffix) == picture_digest(image.convert("RGB"))


def test_what_eight_bits_would_lose_counts():
    deep = np.arange(100, dtype=np.uint16).reshape(10, 10) + 1000
    assert picture_digest(Image.fromarray(deep)) != picture_digest(Image.fromarray(deep + 1))
    assert picture_digest(Image.fromarray(deep)) == picture_digest(Image.fromarray(deep.astype(np.int32)))
    clear = np.dstack([X[0], np.full(X[0].shape[:2], 200, np.uint8)])
    assert picture_digest(Image.fromarray(clear)) != picture_digest(Image.fromarray(X[0]))
    assert picture_digest(Image.fromarray(X[0])) != picture_digest(Image.fromarray(X[0].reshape(10, 12, 3)))


# The cache


@pytest.fixture
def decoded(tmp_path, monkeypatch):
    """How many pictures were opened so far, with a cache of one's own and files that have settled."""
    monkeypatch.setenv("NCORE_CACHE", str(tmp_path / "own cache"))
    monkeypatch.setattr(sources, "SETTLED", -1.0)
    opened = []
    for kind in (FilePictures, ParquetPictures):
        real = kind.__getitem__
        monkeypatch.setattr(kind, "__getitem__", lambda self, row, real=real: opened.append(row) or real(self, row))
    return opened


@pytest.mark.parametrize("make", [as_folder, as_parquet])
def test_no_file_is_decoded_twice_to_learn_what_it_holds(tmp_path, decoded, make):
    source = make(tmp_path)
    first = digests_of(load_dataset(source))
    assert len(decoded) == COUNT
    assert digests_of(load_dataset(source)) == first
    assert digests_of(load_dataset(source, train=30))["data"] != first["data"]
    assert len(decoded) == COUNT


@pytest.mark.parametrize("keep_times", [False, True])
def test_a_file_that_changed_is_looked_at_again(tmp_path, decoded, keep_times):
    source = as_folder(tmp_path, ".bmp")
    first = digests_of(load_dataset(source))
    file = tmp_path / "pets" / "cat" / "0.bmp"
    before = file.stat()
    data = bytearray(file.read_bytes())
    data[60] ^= 0x55
    file.write_bytes(data)
    if keep_times:
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    del decoded[:]
    assert digests_of(load_dataset(source))["data"] != first["data"]
    assert len(decoded) == 1


def test_rows_are_told_apart_when_a_file_before_them_grows(tmp_path, decoded):
    for name, rows in (("a", range(40)), ("b", range(40, COUNT))):
        as_parquet(tmp_path, rows)
        (tmp_path / "all.parquet").rename(tmp_path / f"{name}.parquet")
    first = load_dataset(f"parquet:{tmp_path}/?.parquet")
    as_parquet(tmp_path, range(39))
    (tmp_path / "all.parquet").rename(tmp_path / "a.parquet")
    del decoded[:]
    fewer = digests_of(load_dataset(f"parquet:{tmp_path}/?.parquet"))
    assert len(decoded) == 39
    expected = np.delete(X, 39, 0), np.delete(Y, 39, 0)
    assert fewer["data"] == digests_of(Dataset.from_arrays(*expected, class_names=NAMES))["data"]
    assert fewer["data"] != digests_of(first)["data"]


@pytest.mark.parametrize("damage", [b"", b"nonsense", b"\x93NUMPY\x01\x00", None])
def test_a_damaged_cache_costs_time_only(tmp_path, decoded, damage):
    source = as_folder(tmp_path)
    first = digests_of(load_dataset(source))
    for file in _content_cache.cache_folder().iterdir():
        if damage is None:
            file.unlink()
            file.mkdir()
        else:
            file.write_bytes(damage)
    assert digests_of(load_dataset(source)) == first
    assert len(decoded) == 2 * COUNT


def test_a_cache_that_cannot_be_written(tmp_path, decoded, monkeypatch):
    (tmp_path / "a file").write_text("")
    monkeypatch.setenv("NCORE_CACHE", str(tmp_path / "a file"))
    assert digests_of(load_dataset(as_folder(tmp_path)))["data"]


def test_a_file_just_written_is_not_taken_for_settled(tmp_path, decoded, monkeypatch):
    monkeypatch.setattr(sources, "SETTLED", 3600.0)
    source = as_folder(tmp_path)
    load_dataset(source)
    load_dataset(source)
    assert len(decoded) == 2 * COUNT


def test_the_cache_is_bounded(tmp_path, decoded, monkeypatch):
    monkeypatch.setattr(_content_cache, "MOST_BYTES", 12_000)
    for name in "abcdef":
        (tmp_path / name).mkdir()
        load_dataset(as_folder(tmp_path / name))
    files = list(_content_cache.cache_folder().iterdir())
    assert 1 <= len(files) < 6
    assert sum(file.stat().st_size for file in files) <= 12_000
    shutil.rmtree(_content_cache.cache_folder())
