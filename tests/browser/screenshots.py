"""Pictures of every page of the dashboard: light and dark, wide and narrow.

    python tests/browser/screenshots.py                       # of the sample runs, into screenshots/
    python tests/browser/screenshots.py STORE ... --out FOLDER --pages ranking,report
    python tests/browser/screenshots.py --readme              # those in the README, into dashboard/pictures

The narrow ones are those of a window of 800 pixels. Look at them: no test sees that a label is cut off.
"""

from __future__ import annotations

import argparse
import io
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

from conftest import ARGUMENTS, chromium_path  # noqa: E402
from driving import any_port, open_page, pages_of, settle  # noqa: E402
from ncore_dashboard.app.launch import ADDRESS, command, environment  # noqa: E402
from playwright.sync_api import Page, sync_playwright  # noqa: E402

from ncore.demo import sample_runs  # noqa: E402

WIDTHS = (1440, 800)
HIGHEST = 5000
LARGEST = 300_000  # bytes of a picture in the README
README = {  # name: address, height
    "ranking": ("/ranking?ranking-epoch=5", 1180),
    "capacitance": ("/capacitance?capacitance-dataset=digits", 1180),
    "layer_graph": ("/layer_graph", 1180),
    "playground": ("/playground?play-start=300&play-layers=3&play-width1=6&play-width2=4&play-width3=3", 1300),
}


@contextmanager
def served(stores: Sequence[str]) -> Iterator[str]:
    """The dashboard on stores; its address."""
    port = any_port()
    quiet = {"stdin": subprocess.PIPE, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    server = subprocess.Popen(command(port, browser=False), env=environment(stores), **quiet)
    address = f"http://{ADDRESS}:{port}"
    try:
        for _ in range(600):
            try:
                urllib.request.urlopen(f"{address}/_stcore/health", timeout=5).close()
                break
            except OSError:
                time.sleep(0.1)
        yield address
    finally:
        server.terminate()
        server.communicate(timeout=30)


def taken(page: Page, height: int = 0) -> bytes:
    """A picture of the page as it is, by default of all of it."""
    width = page.viewport_size["width"] if page.viewport_size else WIDTHS[0]
    if not height:
        inner = page.evaluate("document.querySelector('[data-testid=\"stMainBlockContainer\"]').scrollHeight")
        height = min(max(700, int(inner) + 80), HIGHEST)
    page.set_viewport_size({"width": width, "height": height})
    settle(page)
    return page.screenshot()


def smaller(picture: bytes) -> bytes:
    """The picture with as many colours as fit into the size for the README."""
    image = Image.open(io.BytesIO(picture)).convert("RGB")
    for colours in (256, 128, 64, 32):
        out = io.BytesIO()
        image.quantize(colours, dither=Image.Dither.NONE).save(out, "PNG", optimize=True)
        if out.tell() < LARGEST:
            break
    return out.getvalue()


def main() -> None:
    """Take the pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stores", nargs="*", help="default: the sample runs")
    parser.add_argument("--out", type=Path, default=Path("screenshots"))
    parser.add_argument("--pages", default="", help="ends of addresses, separated by commas; default: all pages")
    parser.add_argument("--readme", action="store_true")
    given = parser.parse_args()
    out: Path = ROOT / "dashboard" / "pictures" if given.readme else given.out
    out.mkdir(parents=True, exist_ok=True)
    with served(given.stores or sample_runs()) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=list(ARGUMENTS))
        page = browser.new_page()
        page.set_default_timeout(120_000)
        wanted = [name for name in given.pages.split(",") if name]
        if given.readme:
            for name, (path, height) in README.items():
                if wanted and name not in wanted:
                    continue
                page.set_viewport_size({"width": WIDTHS[0], "height": height})
                open_page(page, address + path)
                (out / f"{name}.png").write_bytes(smaller(taken(page, height)))
            return
        for where in pages_of(page, address).values():
            name = where.rsplit("/", 1)[-1] or "runs"
            if wanted and name not in wanted:
                continue
            for scheme in ("light", "dark"):
                for width in WIDTHS:
                    page.emulate_media(color_scheme=scheme)
                    page.set_viewport_size({"width": width, "height": 1000})
                    open_page(page, where)
                    (out / f"{name}-{width}-{scheme}.png").write_bytes(taken(page))
                    print(out / f"{name}-{width}-{scheme}.png", flush=True)


if __name__ == "__main__":
    main()
