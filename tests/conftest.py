"""What all tests share: one thread a process, and examples that are the same in every CI run."""

import os

import pytest
from hypothesis import settings

from ncore.predict import bundled
from ncore.predict.predictors import registry

# Results and times must not depend on how many tests run side by side.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# New examples are looked for at the desk; CI repeats the same ones, so that it judges the change and not the dice.
settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("ci")


@pytest.fixture(autouse=True, scope="session")
def own_cache(tmp_path_factory):
    """What tests learn of pictures is not left in the user's cache; child processes have it from the environment."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NCORE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(autouse=True)
def without_benchmark(monkeypatch, request):
    """Predictors know nothing of the committed benchmark, so that no expected number changes with its table.

    A test marked `with_benchmark` uses it as users do.
    """
    if request.node.get_closest_marker("with_benchmark") is None:
        monkeypatch.setattr(bundled, "_all_tasks", lambda: ())
        registry._taught.cache_clear()
        yield
        registry._taught.cache_clear()
    else:
        yield
