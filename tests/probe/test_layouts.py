"""Folders of pictures: read as what they are, or refused with both readings; and what lies beside pictures."""

from __future__ import annotations

import itertools
import os
import shutil
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ncore.errors import InputError
from ncore.probe.datasets import Dataset, load_dataset
from ncore.probe.sources.split_names import SPLIT_WORDS, split_of

SPELLINGS = {
    "train": ("train", "Train", "TRAINING", "training_set", "seg_train", "train2017", "trainset", "train-images"),
    "validation": ("val", "valid", "validate", "Validation", "dev", "eval", "valset", "val2017", "validation_set"),
    "test": ("test", "Testing", "test_set", "seg_test", "testset", "TestImages", "test-data"),
}
CLASSES_WITH_SUCH_WORDS = ("test tube", "trainers", "valley", "develop", "steam train", "evaluate this", "contest")


def fill(root: Path, names: tuple[str, ...] = ("cat", "dog"), count: int = 12, suffix: str = ".png") -> None:
    rng = np.random.default_rng(list(str(root).encode()))
    for label, name in enumerate(names):
        (root / name).mkdir(parents=True, exist_ok=True)
        for index in range(count):
            pixels = rng.integers(0, 100, (8, 8, 3)) + 100 * label
            Image.fromarray(pixels.astype(np.uint8)).save(root / name / f"{index}{suffix}", "PNG")


def count(data: Dataset) -> int:
    return sum(map(len, data.splits.values()))


@pytest.mark.parametrize(("split", "name"), [(split, name) for split, names in SPELLINGS.items() for name in names])
def test_the_usual_spellings_are_known(split: str, name: str) -> None:
    assert split_of(name) == split


@pytest.mark.parametrize("word", SPLIT_WORDS)
def test_every_word_is_known_in_any_case_and_with_marks(word: str) -> None:
    for name in (word, word.upper(), word.title(), f"{word}_set", f"seg_{word}", f"{word}2017", f"my-data {word}"[8:]):
        assert split_of(name) == SPLIT_WORDS[word]


@pytest.mark.parametrize("name", [*CLASSES_WITH_SUCH_WORDS, "cat", "train and test", "2017", ""])
def test_classes_with_such_words_are_none(name: str) -> None:
    assert split_of(name) is None


@pytest.mark.parametrize("names", list(itertools.product(*SPELLINGS.values()))[::37])
def test_sets_of_class_folders_are_sets(tmp_path: Path, names: tuple[str, ...]) -> None:
    for name in names:
        fill(tmp_path / name)
    data = load_dataset(f"folder:{tmp_path}")
    assert data.class_names == ["cat", "dog"]
    assert {split.pool for split in data.splits.values()} == {"train", "validation", "test"}
    with pytest.raises(InputError, match="two or more"):
        load_dataset({"source": f"folder:{tmp_path}", "layout": "splits", "classes": ["cat"]})
    assert load_dataset({"source": f"folder:{tmp_path}", "layout": "classes"}).class_names == sorted(names)


@pytest.mark.parametrize("name", ["train", "testing", "val"])
def test_a_class_called_like_a_set_among_others(tmp_path: Path, name: str) -> None:
    fill(tmp_path, ("plane", name, "car"))
    assert load_dataset(f"folder:{tmp_path}").class_names == sorted(["plane", name, "car"])


@pytest.mark.parametrize("name", CLASSES_WITH_SUCH_WORDS)
def test_classes_that_only_sound_like_sets(tmp_path: Path, name: str) -> None:
    fill(tmp_path, (name, "other"))
    assert load_dataset(f"folder:{tmp_path}").class_names == sorted([name, "other"])


def _beside(root: Path) -> None:
    for name in ("train", "test", "samples"):
        fill(root / name)


def _flat_sets(root: Path) -> None:
    fill(root, ("train", "test"))


def _flat_test(root: Path) -> None:
    fill(root / "train")
    fill(root, ("test",))


def _sets_and_a_class(root: Path) -> None:
    fill(root / "train")
    fill(root / "val")
    fill(root, ("plane",))


@pytest.mark.parametrize("make", [_beside, _flat_sets, _flat_test, _sets_and_a_class])
def test_what_can_be_read_in_two_ways_is_refused_with_both(tmp_path: Path, make) -> None:
    make(tmp_path)
    with pytest.raises(InputError, match="two ways") as caught:
        load_dataset(f"folder:{tmp_path}")
    assert "`layout: splits` or `layout: classes`" in str(caught.value)
    inside = sorted(path.name for path in tmp_path.iterdir())
    assert load_dataset({"source": f"folder:{tmp_path}", "layout": "classes"}).class_names == inside


def test_the_layout_asked_for_decides(tmp_path: Path) -> None:
    _beside(tmp_path)
    data = load_dataset({"source": f"folder:{tmp_path}", "layout": "splits"})
    assert data.class_names == ["cat", "dog"]
    assert count(data) == 48
    fill(tmp_path / "plain")
    with pytest.raises(InputError, match="`layout: splits` needs"):
        load_dataset({"source": f"folder:{tmp_path / 'plain'}", "layout": "splits"})
    with pytest.raises(InputError, match="layout"):
        load_dataset({"source": "digits", "layout": "splits"})


def test_two_folders_for_one_set_are_refused(tmp_path: Path) -> None:
    for name in ("train", "training_set", "test"):
        fill(tmp_path / name)
    with pytest.raises(InputError, match="both 'train' and 'training_set' for train"):
        load_dataset(f"folder:{tmp_path}")


JUNK = (
    "cat/.ipynb_checkpoints/0-checkpoint.png",
    "cat/.thumbnails/0.png",
    "cat/thumbs/0.png",
    "cat/@eaDir/0.png",
    "cat/__MACOSX/0.png",
    "cat/more/.hidden/deep/0.png",
    "cat/._0.png",
    "dog/.DS_Store",
    "dog/Thumbs.db",
    ".trash/cat/0.png",
    "__MACOSX/cat/0.png",
)


@pytest.mark.parametrize("junk", JUNK)
def test_what_systems_and_editors_leave_is_no_picture(tmp_path: Path, junk: str) -> None:
    fill(tmp_path)
    path = tmp_path / junk
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes((tmp_path / "cat" / "0.png").read_bytes())
    data = load_dataset(f"folder:{tmp_path}")
    assert count(data) == 24
    assert data.class_names == ["cat", "dog"]
    if junk.startswith(("cat", "dog")):
        assert "1 hidden or made by the system" in data.warnings[0]


@pytest.mark.parametrize("suffix", [".png", ".jfif", ".PNG", ".tga", ".jp2", ".image", ""])
def test_pictures_are_told_by_what_pillow_reads(tmp_path: Path, suffix: str) -> None:
    fill(tmp_path, suffix=suffix)
    data = load_dataset(f"folder:{tmp_path}")
    assert count(data) == 24
    assert not data.warnings
    data.splits["train"].decode(0)


def test_what_is_left_out_is_counted_and_said(tmp_path: Path) -> None:
    fill(tmp_path)
    for name in ("a.txt", "b.txt", "c.json", "d.mp4", "e"):
        (tmp_path / "cat" / name).write_bytes(b"nothing to see")
    (warning,) = load_dataset(f"folder:{tmp_path}").warnings
    assert "5 that are no pictures (2 .txt, 1 .json, 1 .mp4, 1 without ending)" in warning


def test_names_are_compared_in_one_unicode_form(tmp_path: Path) -> None:
    composed, parted = (unicodedata.normalize(form, "café") for form in ("NFC", "NFD"))
    fill(tmp_path / "a" / "train", (composed, "dog"))
    fill(tmp_path / "a" / "test", (parted, "dog"))
    data = load_dataset({"source": f"folder:{tmp_path / 'a'}", "classes": [parted, "dog"]})
    assert data.class_names == [composed, "dog"]
    fill(tmp_path / "b", (composed, parted, "dog"))
    if len(list((tmp_path / "b").iterdir())) == 3:  # some file systems make one of the two
        with pytest.raises(InputError, match="two subfolders called 'café'"):
            load_dataset(f"folder:{tmp_path / 'b'}")


@pytest.mark.parametrize("sets", [("train", "test"), ("training", "validation", "testing"), ("Train", "VAL")])
def test_sets_below_classes_are_refused(tmp_path: Path, sets: tuple[str, ...]) -> None:
    for name in ("cat", "dog"):
        fill(tmp_path / name, sets)
    with pytest.raises(InputError, match=r"two ways: .* are sets of that class.*`layout: classes`"):
        load_dataset(f"folder:{tmp_path}")
    assert load_dataset({"source": f"folder:{tmp_path}", "layout": "classes"}).class_names == ["cat", "dog"]


@pytest.mark.parametrize(
    "names", [("learn", "holdout"), ("fold_1", "fold_2", "fold_3"), ("a", "b"), ("public", "private")]
)
def test_the_same_folders_below_all_are_refused(tmp_path: Path, names: tuple[str, ...]) -> None:
    for name in names:
        fill(tmp_path / name)
    with pytest.raises(InputError, match=r"two ways: .* each have the folders cat, dog"):
        load_dataset(f"folder:{tmp_path}")
    assert load_dataset({"source": f"folder:{tmp_path}", "layout": "classes"}).class_names == sorted(names)


def test_folders_below_classes_that_differ_are_no_sets(tmp_path: Path) -> None:
    fill(tmp_path / "cat", ("tabby", "siamese"))
    fill(tmp_path / "dog", ("pug", "collie"))
    assert load_dataset(f"folder:{tmp_path}").class_names == ["cat", "dog"]


def test_a_folder_too_high_up_is_named(tmp_path: Path) -> None:
    fill(tmp_path / "images")
    with pytest.raises(InputError, match=r"did you mean '.*/images'"):
        load_dataset(f"folder:{tmp_path}")
    with pytest.raises(InputError, match="is a file"):
        load_dataset(f"folder:{tmp_path}/images/cat/0.png")


def test_links_back_up_are_not_followed(tmp_path: Path) -> None:
    fill(tmp_path)
    for place in (tmp_path / "cat", tmp_path / "dog"):
        (place / "up").symlink_to(tmp_path)
        (place / "same").symlink_to(place)
    assert count(load_dataset(f"folder:{tmp_path}")) == 24


def test_links_to_pictures_elsewhere_are_followed(tmp_path: Path) -> None:
    fill(tmp_path / "real")
    (tmp_path / "data" / "more").mkdir(parents=True)
    for name in ("cat", "dog"):
        (tmp_path / "data" / name).symlink_to(tmp_path / "real" / name)
    (tmp_path / "data" / "more").rmdir()
    assert count(load_dataset(f"folder:{tmp_path / 'data'}")) == 24


def test_what_is_no_file_is_counted(tmp_path: Path) -> None:
    fill(tmp_path)
    os.mkfifo(tmp_path / "cat" / "pipe.png")
    (tmp_path / "dog" / "gone.png").symlink_to(tmp_path / "nothing.png")
    (warning,) = load_dataset(f"folder:{tmp_path}").warnings
    assert "2 that are no files (pipes, or links to nothing)" in warning


def test_names_that_are_no_text(tmp_path: Path) -> None:
    fill(tmp_path)
    for index, picture in enumerate(sorted((tmp_path / "cat").iterdir())):
        picture.rename(os.fsdecode(os.fsencode(tmp_path / "cat") + b"/\xff%d.png" % index))
    data = load_dataset(f"folder:{tmp_path}")
    assert count(data) == 24
    assert data.fingerprint
    (tmp_path / "dog").rename(os.fsdecode(os.fsencode(tmp_path) + b"/d\xf6g"))
    with pytest.raises(InputError, match="no text in UTF-8") as caught:
        load_dataset(f"folder:{tmp_path}")
    str(caught.value).encode()


@pytest.mark.parametrize("suffix", [".mpo", ".jfif", ".jp2", ".webp", ".tga", ".JPEG_LARGE", ""])
def test_whatever_pillow_reads_is_a_picture(tmp_path: Path, suffix: str) -> None:
    fill(tmp_path)
    for at in range(3):
        pixels = np.random.default_rng(at).integers(0, 256, (9, 9, 3), dtype=np.uint8)
        kind = {".mpo": "JPEG", ".jfif": "JPEG", ".jp2": "JPEG2000", ".webp": "WEBP", ".tga": "TGA"}.get(suffix, "PNG")
        Image.fromarray(pixels).save(tmp_path / "cat" / f"another{at}{suffix}", kind)
    assert count(load_dataset(f"folder:{tmp_path}")) == 27


@pytest.mark.parametrize("suffix", [".gif", ".tif", ".webp"])
def test_frames_that_are_not_used_are_said(tmp_path: Path, suffix: str) -> None:
    rng = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        for at in range(9):
            frames = [Image.fromarray(rng.integers(0, 256, (9, 9), dtype=np.uint8)) for _ in range(3)]
            frames[0].save(tmp_path / name / f"{at}{suffix}", save_all=True, append_images=frames[1:])
    assert "18 pictures have up to 3 frames or pages: the first of each is used" in " ".join(
        load_dataset(f"folder:{tmp_path}").warnings
    )


def test_a_class_that_a_set_lacks_is_said(tmp_path: Path) -> None:
    fill(tmp_path / "train", ("cat", "dog", "owl"))
    fill(tmp_path / "test", ("cat", "dog"))
    assert "test has no pictures of 'owl'" in " ".join(load_dataset(f"folder:{tmp_path}").warnings)


def test_pictures_of_several_classes_are_counted(tmp_path: Path) -> None:
    fill(tmp_path)
    for at in range(5):
        shutil.copy(tmp_path / "cat" / f"{at}.png", tmp_path / "dog" / f"again{at}.png")
    assert "5 pictures stand in several classes" in " ".join(load_dataset(f"folder:{tmp_path}").warnings)


NUMERALS = [("01", "02", "03"), ("1.0", "2.0", "3.0"), ("10", "20", "30"), ("-1", "+2", "0")]


@pytest.mark.parametrize("names", NUMERALS)
@pytest.mark.parametrize("number", [1, 2, 8])
def test_numbers_are_no_places_where_names_are_numbers(tmp_path: Path, names: tuple[str, ...], number: int) -> None:
    fill(tmp_path, names)
    with pytest.raises(InputError, match=f"uses the number {number}, which is no class's name.*in quotes"):
        load_dataset({"source": f"folder:{tmp_path}", "classes": [number, names[-1]]})
    chosen = load_dataset({"source": f"folder:{tmp_path}", "classes": list(names[:2])})
    assert chosen.class_names == list(names[:2])


@pytest.mark.parametrize(
    "classes", [[1.0, "b"], [None, "b"], {1: ["a"], 2: ["b"]}, {"x": None, "y": ["b"]}, [["a", 2.5], "b"]]
)
def test_what_yaml_made_of_names_is_refused(classes: object) -> None:
    with pytest.raises(InputError, match=r"`classes` has .* in quotes"):
        load_dataset({"source": "digits", "classes": classes})
