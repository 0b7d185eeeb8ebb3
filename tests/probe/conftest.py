"""What several of these tests need."""

import warnings

import pytest


@pytest.fixture(scope="session")
def transformers():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        library = pytest.importorskip("transformers")
        library.ViTForImageClassification  # noqa: B018  (its import is lazy and warns)
        return library
