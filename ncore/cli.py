"""The commands: thin, each calls one function of the package and prints what it returns."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ncore.errors import InputError, NcoreError

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "EpochsOption",
    "JsonOption",
    "MetricOption",
    "StoreArgument",
    "UnderOption",
    "app",
    "bench",
    "cache",
    "candidates",
    "dashboard",
    "delete",
    "demo",
    "evaluate",
    "finish",
    "main",
    "probe",
    "rank",
    "report",
    "runs",
    "sweep",
    "tag",
    "verify",
]

app = typer.Typer(
    help="Predict where candidate models end from a few early epochs, and rank them.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

StoreArgument = Annotated[str, typer.Argument(help="Store of runs: a folder or a URL.")]


def _as_of(text: str) -> int | None:
    """The epoch as of which to rank; None for now."""
    if text == "now":
        return None
    if not text.isdecimal() or int(text) < 1:
        raise typer.BadParameter(f"{text!r} is neither an epoch, 1 or more, nor 'now'.")
    return int(text)


EpochsOption = Annotated[
    Any,
    typer.Option(
        parser=lambda given: _as_of(str(given)),
        metavar="EPOCH|now",
        help="As of an earlier epoch: what would have been said then. By default now: with all that is known.",
    ),
]
MetricOption = Annotated[
    str | None,
    typer.Option(
        help="What to rank by: accuracy, balanced_accuracy, macro_f1, auroc, average_precision, log_loss, ece, top_5; "
        "default: what the newest run's recipe named, else accuracy."
    ),
]
UnderOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="LIMIT=AMOUNT",
        help="Only candidates that cost no more to use, as ms=20 or mb=50; also memory_mb, params, multiply_adds.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
_DEBUG = {"on": False}


@app.callback()
def _options(
    debug: Annotated[bool, typer.Option("--debug", help="Show a traceback when something fails.")] = False,
) -> None:
    _DEBUG["on"] = debug


def main() -> None:
    """Entry point: 0 when all went well, 1 for a failure explained in one line, 2 for wrong usage."""
    try:
        app()
    except NcoreError as error:
        if _DEBUG["on"]:
            raise
        print(f"ncore: {error}", file=sys.stderr)
        sys.exit(1)


@app.command()
def demo(
    store: Annotated[str, typer.Option(help="Where the runs go.")] = "ncore-runs/demo",
    epochs: Annotated[int, typer.Option(min=3, help="Epochs of each run.")] = 15,
    workers: Annotated[int | None, typer.Option(min=1, help="Runs at a time; default: one a core.")] = None,
    open_dashboard: Annotated[
        bool, typer.Option("--dashboard/--no-dashboard", help="Open the dashboard after.")
    ] = True,
) -> None:
    """Rank six small built-in networks on handwritten digits: a minute or two, nothing to download."""
    from ncore.demo import demo_recipe
    from ncore.display import ranking_table, reading_hint, run_sweep
    from ncore.predict import rank as rank_runs

    recipe = demo_recipe(store, epochs)
    run_sweep(recipe.jobs, recipe.store_place, workers=workers)
    early = max(3, epochs // 3)
    table = rank_runs(recipe.store_place, epochs=early)
    ranking_table(table, f"Digits: predicted final accuracy after {early} of {epochs} epochs")
    reading_hint(table)
    if open_dashboard:
        from ncore.demo import sample_runs

        _open_dashboard([recipe.store_place, *sample_runs()])


@app.command()
def probe(
    candidate: Annotated[
        str, typer.Argument(help="timm:NAME, torchvision:NAME, hf:ORG/NAME, python:MODULE:FACTORY or a built-in name.")
    ],
    dataset: Annotated[
        str, typer.Option(help="digits, torchvision:NAME, hf:NAME, folder:PATH, parquet:PATH, numpy:PATH.")
    ] = "digits",
    store: Annotated[str, typer.Option(help="Where the run goes.")] = "ncore-runs",
    mode: Annotated[str, typer.Option(help="What is trained: backbone, unit or all.")] = "backbone",
    epochs: Annotated[int, typer.Option(min=1)] = 10,
    seed: Annotated[int, typer.Option(help="Of everything random.")] = 0,
    learning_rate: Annotated[
        float | None, typer.Option(min=0.0, help="Default: by mode, optimizer and kind of model.")
    ] = None,
    train: Annotated[int | None, typer.Option(min=1, help="Training examples, drawn by class; default: all.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, ...")] = "auto",
) -> None:
    """Train one candidate a little and record it."""
    from ncore.display import run_sweep
    from ncore.sweep.recipe import Recipe

    recipe = Recipe.parse(
        {
            "candidates": [candidate],
            "datasets": [{"source": dataset} | ({"train": train} if train else {})],
            "seeds": [seed],
            "store": store,
            "training": {"mode": mode, "epochs": epochs, "learning_rate": learning_rate, "device": device},
        },
        where="The command",
    )
    _exit_if_failed(run_sweep(recipe.jobs, recipe.store_place, workers=1))


@app.command()
def sweep(
    recipe: Annotated[Path, typer.Argument(help="YAML file: candidates, datasets, seeds, training, recording.")],
    store: Annotated[str | None, typer.Option(help="Where the runs go, instead of the recipe's own place.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Runs at a time; default: one a core.")] = None,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads of each run.")] = 1,
    engine: Annotated[str, typer.Option(help="local, or ray.")] = "local",
    address: Annotated[str | None, typer.Option(help="Of a Ray cluster; default: a local one.")] = None,
    gpus: Annotated[float, typer.Option(min=0.0, help="GPUs of each run, with ray.")] = 0.0,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Repeat runs that failed before.")] = False,
    stop: Annotated[bool, typer.Option("--stop", help="Stop candidates that are hardly the best any more.")] = False,
    risk: Annotated[
        float, typer.Option(min=0.0, max=0.99, help="With --stop: accepted probability of stopping the best.")
    ] = 0.1,
    budget: Annotated[
        str | None,
        typer.Option(help="Time in all, as 2h or 1h30m; or with --stop epochs of all runs of a dataset, as 200."),
    ] = None,
    under: UnderOption = None,
    target_regret: Annotated[
        float | None,
        typer.Option(min=0.0, help="With --stop: accuracy points that the choice may lose; then only it goes on."),
    ] = None,
    method: Annotated[str | None, typer.Option(help="With --stop: prediction method, as for `rank`.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would run, go on and be skipped, and about how long.")
    ] = False,
) -> None:
    """Run candidates x datasets x seeds; finished runs are skipped, killed ones resumed."""
    from ncore.display import plan_table, run_sweep, spent_hint
    from ncore.predict.stopping import StoppingRule
    from ncore.store.limits import Limits
    from ncore.sweep.budget import Budget
    from ncore.sweep.ray import RayEngine
    from ncore.sweep.recipe import Recipe

    if engine not in ("local", "ray"):
        raise InputError(f"The engine is {engine!r}, but it must be 'local' or 'ray'.")
    read = Recipe.read(recipe)
    place = read.store_place if store is None else read.model_copy(update={"store": store, "base": "."}).store_place
    allowed = Budget() if budget is None else Budget.parse(budget)
    if under:
        read = read.model_copy(update={"under": Limits.parse(under, "--under")})
    if dry_run:
        from ncore.sweep.plan import plan

        plan_table(plan(read.jobs, place, retry_failed, keep_stopped=stop), place, workers)
        return
    on_ray = RayEngine(address, threads, gpus) if engine == "ray" else None
    if not stop and (allowed.epochs is not None or target_regret is not None or method is not None):
        raise InputError(
            "A budget of epochs, a target regret and a method are for stopping candidates early: add --stop, or give a "
            "budget of time, such as --budget 2h."
        )
    rule = StoppingRule(risk, target_regret, allowed.epochs) if stop else None
    results = run_sweep(
        read.jobs,
        place,
        workers=workers,
        threads=threads,
        engine=on_ray,
        retry_failed=retry_failed,
        rule=rule,
        method=method,
        metric=read.metric,
        deadline=None if allowed.seconds is None else time.time() + allowed.seconds,
    )
    if stop:
        spent_hint(read.jobs, place)
    if allowed.seconds is not None and any(
        "time" in result.reason for result in results if result.outcome == "stopped"
    ):
        typer.echo(f"The {allowed.text} are over: the same command goes on with what is left.")
    _exit_if_failed(results)


@app.command()
def candidates(
    like: Annotated[str | None, typer.Option(help="timm:NAME or torchvision:NAME that is tried anyway.")] = None,
    under: UnderOption = None,
    count: Annotated[int, typer.Option(min=1, help="How many at most.")] = 20,
    as_json: JsonOption = False,
) -> None:
    """List candidates to try, of many families and sizes, each with the reason; needs no network."""
    from ncore.display import shortlist_table
    from ncore.probe.shortlist import HUB, shortlist
    from ncore.store.limits import Limits

    table = shortlist(like, Limits.parse(under, "--under") if under else None, count)
    if as_json:
        _print_json(table)
    else:
        shortlist_table(table)
        typer.echo(HUB)


@app.command()
def bench(
    recipe: Annotated[Path | None, typer.Argument(help="YAML file; default: that of the committed results.")] = None,
    store: Annotated[Path, typer.Option(help="Folder of runs, weights and scores.")] = Path("ncore-bench"),
    table: Annotated[Path, typer.Option(help="Parquet file; what it has is not run again.")] = Path("bench.parquet"),
    workers: Annotated[int | None, typer.Option(min=1, help="Runs at a time; default: one a core.")] = None,
    modes: Annotated[str, typer.Option(help="Only these, separated by commas: backbone, unit, all.")] = "",
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many runs.")] = None,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Repeat runs that failed before.")] = False,
    collect_only: Annotated[bool, typer.Option("--collect-only", help="Run nothing, write what is finished.")] = False,
) -> None:
    """Run the benchmark of candidates, targets and modes, or go on with it, and write its table."""
    from ncore.benchmark.making.recipe import RECIPE, BenchRecipe
    from ncore.benchmark.making.running import bench as run_bench

    chosen = [mode for mode in modes.replace(" ", "").split(",") if mode]
    made = run_bench(
        BenchRecipe.read(recipe or RECIPE), store, table,
        workers=workers, modes=chosen, limit=limit, retry_failed=retry_failed, collect_only=collect_only,
    )  # fmt: skip
    typer.echo(f"{table}: {0 if made.empty else made['run'].nunique()} runs")


@app.command()
def evaluate(
    table: Annotated[Path | None, typer.Argument(help="Table of the benchmark; default: the committed one.")] = None,
    store: Annotated[str | None, typer.Option(help="Judge by the finished runs of this store instead.")] = None,
    epochs: Annotated[str, typer.Option("-k", "--epochs", help="Epochs seen, separated by commas.")] = "1,2,3,5,10",
    at: Annotated[int, typer.Option(min=1, help="Show all measures after so many epochs.")] = 3,
    resamples: Annotated[int, typer.Option(min=0, help="Of the bootstrap.")] = 1000,
    quick: Annotated[bool, typer.Option("--quick", help="Only as of --at, with 200 resamples: seconds.")] = False,
    loose: Annotated[
        bool, typer.Option("--loose", help="Learn from other tasks of the same dataset too, whose images are shared.")
    ] = False,
    slow: Annotated[
        bool, typer.Option("--slow", help="Compute what is missing of slow methods: half an hour.")
    ] = False,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Parquet file of all numbers.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Judge every prediction method and score by runs whose ends are known."""
    from ncore.benchmark.command import evaluate as run_evaluation
    from ncore.benchmark.printing import print_evaluation
    from ncore.display import console

    found = run_evaluation(
        table,
        store=store,
        epochs=str(at) if quick else epochs,
        resamples=min(resamples, 200) if quick else resamples,
        loose=loose,
        slow=slow,
        output=output,
    )
    if as_json:
        _print_json(found)
    else:
        print_evaluation(found, console, at)


@app.command()
def rank(
    store: StoreArgument,
    dataset: Annotated[str | None, typer.Option(help="Needed if the store has several.")] = None,
    epochs: EpochsOption = None,
    method: Annotated[str | None, typer.Option(help="Prediction method; --method help lists them.")] = None,
    mode: Annotated[str | None, typer.Option(help="Needed if the store has several: backbone, unit or all.")] = None,
    metric: MetricOption = None,
    by_class: Annotated[
        bool, typer.Option("--by-class", help="Also how well each class was told on the test set, where that is known.")
    ] = False,
    under: UnderOption = None,
    variants: Annotated[
        bool, typer.Option("--variants", help="Rank every variant of a candidate, instead of judging it by its best.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Rank candidates by predicted final accuracy, with a 90% interval and the probability of being the best."""
    from ncore.display import classes_table, ranking_table, reading_hint
    from ncore.predict import DEFAULT_METHOD, get_predictor, predictor_names, said_of
    from ncore.predict import rank as rank_runs
    from ncore.predict.by_class import by_class as values_by_class
    from ncore.predict.ranker import MEASURED
    from ncore.scores.metrics import get_metric
    from ncore.store.limits import Limits

    if method == "help":
        for name in predictor_names(slow=True):
            typer.echo(f"{name:24} {get_predictor(name).label}{'  (default)' if name == DEFAULT_METHOD else ''}")
        return
    table = rank_runs(
        store,
        dataset=dataset,
        epochs=epochs,
        method=method or DEFAULT_METHOD,
        mode=mode,
        metric=metric,
        under=Limits.parse(under, "--under") if under else None,
        all_variants=variants,
    )
    used = get_metric(table.attrs["metric"])
    if by_class:
        classes = values_by_class(store, used.name, dataset=dataset, mode=mode)
    if as_json:
        _print_json(classes if by_class else table)
        return
    told = f"{used.label} after {table.attrs['epochs']} epochs, method {method or DEFAULT_METHOD!r}"
    ranking_table(table, f"{'Final' if (table['kind'] == MEASURED).all() else 'Predicted final'} {told}")
    reading_hint(table)
    if by_class:
        classes_table(classes, used)
    for said in said_of(table):
        typer.echo(said)


@app.command()
def report(
    store: StoreArgument,
    output: Annotated[Path, typer.Option("-o", "--output", help="HTML file to write.")] = Path("report.html"),
    dataset: Annotated[str | None, typer.Option(help="Needed if the store has several.")] = None,
    epochs: EpochsOption = None,
    method: Annotated[str | None, typer.Option(help="Prediction method, as for `rank`.")] = None,
    mode: Annotated[str | None, typer.Option(help="Needed if the store has several: backbone, unit or all.")] = None,
    metric: MetricOption = None,
    under: UnderOption = None,
) -> None:
    """Write a report for those who decide: one HTML file that opens offline and prints well."""
    from ncore_dashboard.report import report_html, write_report

    from ncore.predict import DEFAULT_METHOD
    from ncore.store.limits import Limits

    limits = Limits.parse(under, "--under") if under else None
    html = report_html(
        store, dataset=dataset, epochs=epochs, method=method or DEFAULT_METHOD, mode=mode, metric=metric, under=limits
    )
    typer.echo(f"Report: {write_report(html, output)}")


@app.command()
def finish(
    store: StoreArgument,
    candidate: Annotated[str, typer.Argument(help="As `ncore rank` names it.")],
    dataset: Annotated[str | None, typer.Option(help="Needed if it has runs on several.")] = None,
    mode: Annotated[str | None, typer.Option(help="Needed if it has runs in several: backbone, unit or all.")] = None,
    seed: Annotated[
        int | None, typer.Option(help="Of the run that is repeated; default: that which validated best.")
    ] = None,
    with_validation: Annotated[
        bool, typer.Option("--with-validation", help="Train on the validation set, too, now that the choice is made.")
    ] = False,
    epochs: Annotated[int | None, typer.Option(min=1, help="Instead of those of the run.")] = None,
    to: Annotated[str | None, typer.Option(help="Folder; default: finished/CANDIDATE-DATASET.")] = None,
    onnx: Annotated[bool, typer.Option("--onnx", help="Write an ONNX file, too.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a finished model that is there.")] = False,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda, ...; default: that of the run.")] = None,
    licence: Annotated[str | None, typer.Option(help="Of its pretrained weights, where you know it.")] = None,
    base: Annotated[Path, typer.Option(help="Folder that relative paths of the recipe are read from.")] = Path("."),
    as_json: JsonOption = False,
) -> None:
    """Train the chosen candidate to its end, and write a folder that works without ncore.

    What it writes is read again and compared with what was trained; its README.md has the evidence for the choice.
    """
    from ncore.display import finished_table, run_finish

    found = run_finish(
        store, candidate, quiet=as_json, dataset=dataset, mode=mode, seed=seed, with_validation=with_validation,
        epochs=epochs, to=to, onnx=onnx, overwrite=overwrite, device=device, licence=licence, base=base,
    )  # fmt: skip
    if as_json:
        typer.echo(json.dumps(found.as_json, indent=1, ensure_ascii=False))
    else:
        finished_table(found)


@app.command()
def runs(store: StoreArgument, as_json: JsonOption = False) -> None:
    """List the runs of a store."""
    from ncore.display import runs_table
    from ncore.store import open_store

    table = open_store(store).runs()
    if as_json:
        _print_json(table)
    else:
        runs_table(table, store)


@app.command()
def verify(store: StoreArgument, as_json: JsonOption = False) -> None:
    """Check every file of a store; exits with 1 if something is damaged, missing or foreign."""
    from ncore.display import findings_table
    from ncore.store import verify as verify_store

    report = verify_store(store)
    if as_json:
        typer.echo(json.dumps([finding.__dict__ for finding in report.findings], indent=1, default=str))
    else:
        findings_table(report, store)
    if not report.ok:
        raise typer.Exit(1)


@app.command()
def tag(
    store: StoreArgument,
    run: Annotated[str, typer.Argument(help="Id of a run, as `ncore runs STORE --json` lists them.")],
    tags: Annotated[list[str] | None, typer.Argument(help="To file it under, besides those it has.")] = None,
    remove: Annotated[list[str] | None, typer.Option(help="A tag to take away; may be given again.")] = None,
    note: Annotated[str | None, typer.Option(help="Replace its notes.")] = None,
    as_json: JsonOption = False,
) -> None:
    """File a run under tags, or write a note about it; without either, show what there is."""
    from ncore.store import open_store

    opened = open_store(store)
    found = opened.run(run)
    former = found.tags
    if missing := [name for name in remove or () if name not in former]:
        raise InputError(f"Run {run} has no tag {missing[0]!r}: it has {', '.join(former) or 'none'}.")
    if tags or remove or note is not None:
        opened.annotate(run, tags=sorted({*former, *(tags or ())} - {*(remove or ())}), notes=note)
    if as_json:
        typer.echo(json.dumps({"run": run, "tags": found.tags, "notes": found.notes}))
    else:
        typer.echo(f"{run}: {', '.join(found.tags) or 'no tags'}{f'; {found.notes}' if found.notes else ''}")


@app.command()
def delete(
    store: StoreArgument,
    runs: Annotated[list[str], typer.Argument(help="Ids of runs, as `ncore runs STORE --json` lists them.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Delete runs with all their files, for good."""
    from ncore.store import open_store

    opened = open_store(store)
    known = set(opened.run_ids())
    names = list(dict.fromkeys(runs))
    if missing := [name for name in names if name not in known]:
        raise InputError(f"There is no run {missing[0]} in {store}: `ncore runs {store} --json` lists the ids.")
    if not yes:
        typer.confirm(f"Delete {', '.join(names)} from {store} for good?", abort=True)
    for name in names:
        opened.delete(name)
        typer.echo(f"deleted {name}")


@app.command()
def cache(
    store: StoreArgument,
    remove: Annotated[bool, typer.Option("--empty", help="Remove all that no process is making.")] = False,
) -> None:
    """Say how much lies on disk beside a store of decoded pictures and features, or empty it."""
    from ncore.probe.rows_on_disk import beside, empty, size
    from ncore.store import open_store

    place = beside(open_store(store))
    gone = f", after {empty(place) / 1e9:.2f} GB were removed" if remove else ""
    typer.echo(f"{place}: {size(place) / 1e9:.2f} GB{gone}")


@app.command()
def dashboard(
    stores: Annotated[list[str] | None, typer.Argument(help="Stores to show; default: the sample runs.")] = None,
    port: Annotated[int, typer.Option(help="Of the local server.")] = 8501,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open a browser.")] = True,
    public: Annotated[bool, typer.Option("--public", help="Let others see it too, after a login by OpenID.")] = False,
    secrets: Annotated[
        Path | None, typer.Option(help="Of the login; default: .streamlit/secrets.toml here, or else at home.")
    ] = None,
) -> None:
    """Open the dashboard in a browser: on this machine only, unless --public."""
    from ncore_dashboard.access.login import default_file

    from ncore.demo import sample_runs

    login = (secrets or default_file()) if public else None
    _open_dashboard(stores or sample_runs(), port, browser, login)


def _open_dashboard(stores: list[str], port: int = 8501, browser: bool = True, login: Path | None = None) -> None:
    from ncore_dashboard.app.launch import launch

    if not stores:
        raise InputError(
            "There is no store to show, as the sample runs come with the source of ncore only: make a store with "
            "`ncore demo`, or name one, such as `ncore dashboard ncore-runs`."
        )
    raise typer.Exit(launch(stores, port=port, browser=browser, public=login))


def _exit_if_failed(results: list[Any]) -> None:
    ends = [result.outcome for result in results]
    bad = [
        f"{ends.count(end)} {said}" for end, said in (("failed", "failed"), ("refused", "were refused")) if end in ends
    ]
    if bad:
        rest = "" if set(ends) <= {"failed", "refused"} else "; the others are recorded"
        raise NcoreError(f"Of {len(ends)} runs {' and '.join(bad)}{rest}.")


def _print_json(table: pd.DataFrame) -> None:
    typer.echo(table.to_json(orient="records", date_format="iso", indent=1, double_precision=15))
