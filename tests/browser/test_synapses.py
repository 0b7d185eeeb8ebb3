"""From the layer graph to the neighbourhood of a synapse, and runs that grow while their synapses are looked at."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from driving import drag, open_page, settle, until
from playwright.sync_api import Page, expect

import ncore
from ncore.store import create_store

pytestmark = pytest.mark.browser
NETWORK = '[class*="st-key-chart-network-"]'
AROUND = '[class*="st-key-chart-around-synapse"]'
SPEEDS = '[class*="st-key-chart-speeds"]'

# Where on the screen the points of a chart are that can be clicked, with what they stand for.
POINTS = """(chart) => {
  const plot = document.querySelector(`${chart} .js-plotly-plot`);
  const { left, top } = plot.getBoundingClientRect();
  return plot.calcdata.flatMap((points) => points.filter((point) => point.data?.length === 3).map((point) => {
    const { xaxis, yaxis } = plot._fullLayout;
    return {
      synapse: [...point.data],
      x: left + xaxis._offset + xaxis.d2p(point.x),
      y: top + yaxis._offset + yaxis.d2p(point.y),
    };
  }));
}"""
END = "(knob) => knob.max || knob.ariaValueMax"
VIEW = """(chart) => {
  const plot = document.querySelector(`${chart} .js-plotly-plot`);
  return {
    x: plot._fullLayout.xaxis.range,
    y: plot._fullLayout.yaxis.range,
    last: Math.max(...plot.calcdata.flatMap((points) => points.map((point) => point.x)).filter(Number.isFinite)),
  };
}"""


def click(page: Page, chart: str, wanted: Callable[[list[int]], bool]) -> list[int]:
    """Click a point that stands for a synapse as wanted; the synapse."""
    page.locator(chart).scroll_into_view_if_needed()
    settle(page)
    point = next(point for point in page.evaluate(POINTS, chart) if wanted(point["synapse"]))
    page.mouse.move(point["x"] + 1, point["y"])
    page.mouse.move(point["x"], point["y"])
    page.mouse.click(point["x"], point["y"])
    return [int(number) for number in point["synapse"]]


def test_from_the_network_to_the_neighbourhood_of_a_synapse(page: Page, small: str) -> None:
    open_page(page, f"{small}/layer_graph")
    layer, source, target = click(page, AROUND, lambda synapse: synapse[0] in (1, 3))  # of the strongest one, at first
    expect(page.get_by_text(f"Synapse {source} → {target} of layer {layer}, epoch 6.")).to_be_visible()
    settle(page)
    layer, source, target = click(page, NETWORK, lambda synapse: synapse[0] == 4)
    expect(page.get_by_text(f"Synapse {source} → {target} of layer 4, epoch 6.")).to_be_visible()
    until(lambda: page.url, lambda url: "network-layer=4" in url)


@contextmanager
def growing(place: Path) -> Iterator[Callable[[], None]]:
    """A run that gets one more epoch whenever the function is called."""
    torch.manual_seed(0)
    unit = ncore.NCPUnit(6, classes=3, widths=(5, 4, 3))
    x, y = torch.randn(64, 6), torch.randint(3, (64,))
    loss = torch.nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(unit.parameters(), 0.5)
    recording = {"trajectories_every": 1, "line_graph_every": 1, "probe_samples": 64}
    about: dict[str, Any] = {"candidate": "small", "dataset": "noise", "seed": 0, "epochs": 30}
    with ncore.Recorder(
        create_store(place), None, unit=unit, probe=(x, y), loss=loss, recording=recording, **about
    ) as recorder:

        def grow() -> None:
            optimizer.zero_grad()
            loss(unit(x), y).backward()
            optimizer.step()
            recorder.record(validation={"accuracy": 0.5})

        for _ in range(4):
            grow()
        yield grow


def test_new_epochs_appear_and_the_view_stays(page: Page, serve: Callable[..., str], tmp_path: Path) -> None:
    with growing(tmp_path / "live") as grow:
        address = serve(tmp_path / "live")
        open_page(page, f"{address}/layer_graph")
        slider = page.get_by_role("slider", name="Epoch").first
        before = view_after_a_zoom(page, NETWORK)
        end = float(slider.evaluate(END))
        grow()
        until(lambda: slider.evaluate(END), lambda found: float(found) == end + 1)
        settle(page)
        assert page.evaluate(VIEW, NETWORK)["x"] == pytest.approx(before["x"])

        open_page(page, f"{address}/dynamics")
        before = view_after_a_zoom(page, SPEEDS)
        for last in (6, 7):
            grow()
            until(lambda: page.evaluate(VIEW, SPEEDS), lambda view: view["last"] == last)  # noqa: B023
            settle(page)
            after = page.evaluate(VIEW, SPEEDS)
            assert after["x"] == pytest.approx(before["x"])
            assert after["y"] == pytest.approx(before["y"])


def view_after_a_zoom(page: Page, chart: str) -> dict[str, Any]:
    """Zoom into a chart; what it shows then."""
    before = page.evaluate(VIEW, chart)
    drag(page, chart)
    found: dict[str, Any] = until(
        lambda: page.evaluate(VIEW, chart), lambda view: view["x"] != pytest.approx(before["x"])
    )
    settle(page)
    return found
