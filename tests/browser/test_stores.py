"""Stores that are empty, missing, damaged, changing or elsewhere: the page says so, and everything else goes on."""

from __future__ import annotations

import functools
import json
import shutil
import threading
from collections.abc import Callable, Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from driving import LESSONS, open_page, pages_of, settle
from playwright.sync_api import Page, expect

from ncore.store import create_store

pytestmark = pytest.mark.browser
NEVER = ("Traceback", 'File "', "Error:", "Something in this view failed", "Something went wrong")


def said(page: Page) -> str:
    """What the page says; fails on what no page may show."""
    assert page.locator('[data-testid="stException"]').count() == 0
    text = page.locator('[data-testid="stMain"]').inner_text()
    assert [word for word in NEVER if word in text] == []
    return text


def flip(file: Path, place: int) -> None:
    """Turn one bit of a file."""
    data = bytearray(file.read_bytes())
    data[place] ^= 1
    file.write_bytes(data)


@pytest.fixture(scope="module")
def damaged(stores: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store in which two runs are sound: one of the made-up ones, and the one with synapses."""
    place = Path(shutil.copytree(stores["small"], tmp_path_factory.mktemp("damaged") / "damaged"))
    first, second, third, fourth, fifth, _ = sorted(path for path in place.iterdir() if "digits" in path.name)
    table = first / "metrics.parquet"
    table.write_bytes(table.read_bytes()[:100])
    (second / "run.json").write_text("{oops")
    manifest = json.loads((third / "run.json").read_text())
    manifest.pop("crc32")
    (third / "run.json").write_text(json.dumps(manifest | {"schema": 99}))
    flip(fourth / "capacitance.parquet", -40)  # in its footer
    flip(fifth / "metrics.parquet", 60)  # in its data
    probe = next(path for path in place.iterdir() if path.name.startswith("probe"))
    copy = shutil.copytree(probe, place / f"{probe.name[:-8]}00000000")
    for name in ("trajectories", "line_graph"):
        flip(copy / f"{name}.parquet", -40)
    return place


def test_damaged_runs_are_named_and_the_others_go_on(page: Page, serve: Callable[..., str], damaged: Path) -> None:
    address = serve(damaged)
    runs = "&".join(f"runs=0~{path.name}" for path in sorted(damaged.iterdir()) if path.is_dir())
    texts, charts = {}, {}
    for title, where in pages_of(page, address).items():
        if title in LESSONS:
            continue
        open_page(page, f"{where}?{runs}")
        for details in page.get_by_text("What is wrong").all():
            if not details.evaluate("(item) => item.closest('details').open"):
                details.click()
        texts[title] = said(page)
        charts[title] = page.locator(".js-plotly-plot").count()
    assert "can't be read" in texts["Runs"]
    assert "99" in texts["Runs"]
    for title in ("Ranking", "Capacitance", "Compare", "Report"):
        assert "can't be read" in texts[title], title
    for title in ("Ranking", "Capacitance"):
        assert charts[title] >= 1, title


def test_a_run_with_damaged_synapses_is_said_to_be_so(page: Page, serve: Callable[..., str], damaged: Path) -> None:
    address = serve(damaged)
    bad = next(path.name for path in damaged.iterdir() if path.name.endswith("00000000"))
    for path in ("layer_graph", "dynamics"):
        open_page(page, f"{address}/{path}?network-run=0~{bad}")
        assert "can't be" in said(page)
        page.get_by_role("combobox", name="Run", exact=True).click()
        page.get_by_role("option", name="probe").filter(has_not_text="00000000").click()  # told apart by their ids
        page.wait_for_selector(".js-plotly-plot .main-svg")
        settle(page)
        said(page)


def test_empty_and_missing_stores_are_explained_on_every_page(
    page: Page, serve: Callable[..., str], tmp_path: Path
) -> None:
    create_store(tmp_path / "empty")
    address = serve(tmp_path / "empty", tmp_path / "nowhere")
    for title, where in pages_of(page, address).items():
        if title in LESSONS:
            continue
        open_page(page, f"{where}?runs=0~gone&ranking-epoch=-3&network-epoch=abc")
        text = said(page)
        if title == "Runs":
            assert "1 store can't be read" in text
            assert "nowhere" in text
        assert "There are no runs" in text, title


def test_a_run_that_is_deleted_leaves_the_open_page(
    page: Page, serve: Callable[..., str], stores: dict[str, Path], tmp_path: Path
) -> None:
    place = Path(shutil.copytree(stores["small"], tmp_path / "shrinking"))
    first, second = sorted(path.name for path in place.iterdir() if path.name.startswith(("dense", "lenet")))[::2]
    open_page(page, f"{serve(place)}/ranking?runs=0~{first}&runs=0~{second}")
    expect(page.get_by_text("Showing your working set: 2 runs.")).to_be_visible()
    shutil.rmtree(place / second)
    expect(page.get_by_text("Showing your working set: 1 run.")).to_be_visible()
    expect(page.get_by_text("1 chosen run is not in these stores")).to_be_visible()
    said(page)
    shutil.rmtree(place)
    expect(page.get_by_text("There are no runs to show.")).to_be_visible()
    said(page)


class _Files(SimpleHTTPRequestHandler):
    """Files of a folder, with lists of them, as any web server gives them."""

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def url(stores: dict[str, Path]) -> Iterator[str]:
    """The store ``small`` on a web server."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Files, directory=stores["small"].parent))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/small"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_store_by_url_works_as_a_folder_does(page: Page, serve: Callable[..., str], small: str, url: str) -> None:
    def shown(address: str) -> dict[str, str]:
        texts = {}
        for path in ("ranking", "capacitance", "layer_graph", "dynamics"):
            open_page(page, f"{address}/{path}")
            texts[path] = said(page)
            assert page.locator(".js-plotly-plot").count() >= 1
        return texts

    assert shown(serve(url)) == shown(small)
