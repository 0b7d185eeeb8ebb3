"""What a checkout does, as files: whether a change of the code has changed the behaviour.

    python tools/behaviour.py CHECKOUT FOLDER     # once of the code before the change, and once after it
    diff -r BEFORE AFTER

Tables, rankings, reports and errors of the sample runs, ids of the runs that recipes plan, and all that a small sweep
writes, less what differs by nature: times, checksums, the name of the process. Some eight minutes on one core.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

__all__ = ["Checkout", "main"]

METHODS = (
    *("last", "best", "mean", "loss", "exponential", "power", "pooled", "freeze-thaw"),
    *("capacitance-absolute", "capacitance-relative", "capacitance-signed", "forecast-absolute"),
    *("learned", "learned-logme-beta", "history-logme", "history"),
)
RECIPE = """
candidates:
  - lenet-small
  - {source: "builtin:dense-small", name: dense}
  - {source: "builtin:resnet-small", name: slow, training: {learning_rate: 0.00001}}
datasets:
  - {source: digits, train: 200}
seeds: [0, 1]
training: {mode: all, epochs: 4, threads: 1}
recording:
  strengths: [signed, absolute, relative, hessian, hessian-cross, model-hessian]
  spread: [absolute, signed]
  line_graph_every: 2
store: store
"""
TASKS = """
import json, ncore
table = ncore.open_store(PLACE).runs()
print(json.dumps(sorted({(dataset, mode) for dataset, mode in zip(table["dataset"], table["mode"])})))
"""
IDS = """
import json
from pathlib import Path
try:
    from ncore.sweep import Recipe, run_id
except ImportError:  # where the sweep was a part of the probe
    from ncore.probe.recipe import Recipe
    from ncore.probe.sweep import run_id
for path in sorted(Path(PLACE).glob("*.yaml")):
    for job in Recipe.read(path).jobs:
        print(path.name, run_id(job), json.dumps(job.identity, sort_keys=True, default=str))
"""
CONTENT = """
import hashlib, json
from pathlib import Path
import pyarrow.parquet as pq
NATURE = set("created updated began ended crc32 size bytes pid host seconds owner time beat token".split())
def lasting(value):
    if isinstance(value, dict):
        return {key: lasting(item) for key, item in value.items() if key not in NATURE}
    return [lasting(item) for item in value] if isinstance(value, list) else value
for path in sorted(path for path in Path(PLACE).rglob("*") if path.is_file()):
    told = ""
    if path.suffix == ".parquet":
        table = pq.read_table(path)
        frame = table.drop_columns([name for name in ("seconds",) if name in table.column_names]).to_pandas()
        if "name" in frame:
            frame = frame[~frame["name"].astype(str).str.contains("second")]
        schema = str(table.schema).replace(chr(10), "; ")
        told = f"{schema} {hashlib.sha256(frame.to_csv(float_format='%.17g').encode()).hexdigest()}"
    elif path.suffix == ".json":
        told = json.dumps(lasting(json.loads(path.read_text())), sort_keys=True)
    print(path.parent.name, path.name, told)
"""


class Checkout:
    """A checkout whose commands are run, with the Python that runs this.

    Args:
        place: Of its files.
        out: Folder for what the commands print and write.
    """

    def __init__(self, place: Path, out: Path) -> None:
        self.place, self.out = place.resolve(), out.resolve()
        self.samples = str(self.place / "sample_runs")
        self.out.mkdir(parents=True, exist_ok=True)

    def python(self, name: str, code: str, *words: str, place: str = "") -> str:
        """Run some Python, in which ``PLACE`` is a place, and keep what it printed, and how it ended."""
        told = subprocess.run(
            [sys.executable, "-c", code.replace("PLACE", repr(place)), *words],
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join([str(self.place), str(self.place / "dashboard")]),
                "OMP_NUM_THREADS": "1",
                "COLUMNS": "200",
            },
            capture_output=True,
            text=True,
            cwd=self.out,
        )
        text = f"{' '.join(words)}\n{told.returncode}\n{told.stdout}\n--\n{told.stderr}"
        (self.out / f"{name}.txt").write_text(self.clean(text), encoding="utf-8")
        return told.stdout

    def command(self, name: str, *words: str) -> None:
        """Run ``ncore WORDS``."""
        self.python(name, "from ncore.cli import main; main()", *words)

    def clean(self, text: str) -> str:
        """Without places, dates and durations."""
        text = text.replace(str(self.place), "CHECKOUT").replace(str(self.out), "OUT")
        text = re.sub(r"on \d{4}-\d\d-\d\d at \d\d:\d\d UTC", "on DATE", text)
        return re.sub(r"\d:\d\d:\d\d|-:--:--", "T", text)

    def rankings(self) -> None:
        """What is printed and reported of the sample runs."""
        self.command("runs", "runs", self.samples)
        self.command("runs-json", "runs", self.samples, "--json")
        self.command("verify", "verify", self.samples)
        self.command("methods", "rank", self.samples, "--method", "help")
        self.command("rank-which", "rank", self.samples)
        self.command("rank-unknown", "rank", self.samples, "--method", "nonsense")
        digits = ("rank", self.samples, "--dataset", "digits", "--mode", "all", "--json")
        for method in METHODS:
            for k in ("1", "3", "5"):
                self.command(f"rank-{method}-{k}", *digits, "--method", method, "--epochs", k)
        for dataset, mode in json.loads(self.python("tasks", TASKS, place=self.samples)):
            of = (self.samples, "--dataset", dataset, "--mode", mode)
            for k in ("3", "5"):
                self.command(f"rank-{dataset}-{mode}-{k}", "rank", *of, "--epochs", k)
            for method in ("history-logme", "last", "capacitance-signed"):
                page = self.out / f"report-{dataset}-{mode}-{method}.html"
                self.command(f"report-{page.stem}", "report", *of, "--method", method, "-o", str(page))
                if page.exists():
                    page.write_text(self.clean(page.read_text(encoding="utf-8")), encoding="utf-8")
        self.command("evaluate-store", "evaluate", "--store", self.samples, "--quick", "--json")
        self.command("evaluate", "evaluate", "--quick")

    def runs(self) -> None:
        """Which runs are planned, and what a store of some holds."""
        self.python("ids", IDS, place=self.samples)
        recipe, store = self.out / "recipe.yaml", self.out / "store"
        recipe.write_text(RECIPE)
        shutil.rmtree(store, ignore_errors=True)
        self.command("sweep", "sweep", str(recipe), "--workers", "1")
        self.command("sweep-verify", "verify", str(store))
        self.command("sweep-rank", "rank", str(store), "--epochs", "2")
        self.python("sweep-content", CONTENT, place=str(store))
        shutil.rmtree(store)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("checkout", type=Path)
    parser.add_argument("folder", type=Path)
    given = parser.parse_args()
    checkout = Checkout(given.checkout, given.folder)
    checkout.runs()
    checkout.rankings()


if __name__ == "__main__":
    main()
