"""``python -m tools.benchmark_page``: judge every method by the benchmark's table, and write the page on it."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ncore.benchmark.command import evaluate
from ncore.benchmark.findings import FOLDER
from ncore.errors import NcoreError
from tools.benchmark_page.page import write_page, write_rendered


def main(arguments: list[str] | None = None) -> int:
    """0 when the page is written, 1 for a failure explained in one line."""
    parser = argparse.ArgumentParser(prog="python -m tools.benchmark_page", description=__doc__.partition(": ")[2])
    parser.add_argument("folder", type=Path, nargs="?", default=FOLDER, help="of README.md, figures/ and results/")
    parser.add_argument("--table", type=Path, help="Parquet file; default: that of the package")
    parser.add_argument("--epochs", default="1,2,3,5,10", help="epochs seen, separated by commas")
    parser.add_argument("--resamples", type=int, default=1000, help="of the bootstrap")
    parser.add_argument("--slow", action="store_true", help="compute what is missing of slow methods: half an hour")
    parser.add_argument(
        "--render", action="store_true", help="write the page from the results that are stored: seconds"
    )
    given = parser.parse_args(arguments)
    try:
        if given.render:
            write_rendered(given.folder)
        else:
            found = evaluate(given.table, epochs=given.epochs, resamples=given.resamples, slow=given.slow)
            write_page(given.folder, given.table, found)
    except NcoreError as error:
        print(f"ncore: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
