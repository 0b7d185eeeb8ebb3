"""Stores with made-up runs, intact and broken, and the app on them."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import ncore_dashboard
import pytest
from ncore_dashboard.app.launch import STORES_VARIABLE
from ncore_dashboard.data.library import Library, library
from streamlit.testing.v1 import AppTest

from ncore.store import create_store

sys.path.insert(0, str(Path(__file__).parent))
from made_up_runs import record

APP = Path(ncore_dashboard.__file__).parent / "app" / "main.py"


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three candidates on one dataset, two seeds each; not to be changed."""
    place = tmp_path_factory.mktemp("runs") / "small"
    opened = create_store(place)
    for seed in (0, 1):
        for candidate, final in (("resnet", 0.95), ("lenet", 0.85), ("dense", 0.6)):
            record(opened, candidate, final=final, seed=seed)
    return place


@pytest.fixture
def copy(store: Path, tmp_path: Path) -> Path:
    """The same store, to be changed."""
    return Path(shutil.copytree(store, tmp_path / "copy"))


@pytest.fixture(scope="session")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs whose texts try everything."""
    place = tmp_path_factory.mktemp("runs") / "hostile"
    opened = create_store(place)
    record(opened, "<script>alert(1)</script><b>bold</b>", notes="<img src=x onerror=alert(2)> **md** $x^2$ :red[r]")
    record(opened, "**md** :smile: $\\alpha$ [link](javascript:alert(3)) %{x}", dataset="<u>data</u> *set*")
    record(opened, "=cmd|'/c calc'!A1 \u202egnp.exe\nsecond line " + "x" * 100, fail="Loss is NaN <b>at</b> step 3")
    return place


@pytest.fixture
def broken(copy: Path) -> Path:
    """A truncated table, a manifest that is not JSON, one of the future, and a table that is missing."""
    runs = sorted(path for path in copy.iterdir() if path.is_dir())
    table = runs[0] / "metrics.parquet"
    table.write_bytes(table.read_bytes()[:100])
    (runs[1] / "run.json").write_text("{oops <b>bold</b>")
    manifest = json.loads((runs[2] / "run.json").read_text())
    manifest.pop("crc32")
    (runs[2] / "run.json").write_text(json.dumps(manifest | {"schema": 99}))
    (runs[3] / "capacitance.parquet").unlink()
    return copy


@pytest.fixture
def books(store: Path) -> Library:
    """A library of the small store, as if just opened."""
    return Library([str(store)])


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., AppTest]]:
    """Open the app on stores, at a page."""
    library.cache_clear()

    def opened(*places: object, page: str = "runs", **parameters: str | list[str]) -> AppTest:
        monkeypatch.setenv(STORES_VARIABLE, json.dumps([str(place) for place in places]))
        test = AppTest.from_file(APP, default_timeout=30)
        for name, value in parameters.items():
            test.query_params[name.replace("_", "-")] = value
        test.run()
        return test if page == "runs" else test.switch_page(f"../pages/{page}.py").run()

    yield opened
    library.cache_clear()
