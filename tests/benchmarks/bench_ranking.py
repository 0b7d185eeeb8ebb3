"""How well each method ranks the finished runs of a store: the figures that the README quotes.

    python tests/benchmarks/bench_ranking.py [STORE]

For every dataset and training mode with at least five candidates: Kendall's tau between the accuracy predicted from
the first k epochs and the final test accuracy, both averaged over seeds, and the regret of the first choice.
"""

from __future__ import annotations

import sys

import pandas as pd

import ncore
from ncore.errors import InputError
from ncore.predict import evaluate, predictor_names

EPOCHS = (3, 5)


def main() -> None:
    """One line a task, method and k."""
    store = ncore.open_store(sys.argv[1] if len(sys.argv) > 1 else "sample_runs")
    runs = store.runs()
    finished = runs[runs["test_accuracy"].notna()]
    rows = []
    for (dataset, mode), group in finished.groupby(["dataset", "mode"]):
        if group["candidate"].nunique() < 5:
            continue
        for k in EPOCHS:
            for method in predictor_names():
                try:
                    table = ncore.rank(store, dataset=str(dataset), mode=str(mode), epochs=k, method=method)
                except InputError:
                    continue  # not defined at this k
                table = table[table["observed"].notna() & table["predicted"].notna()]
                found = evaluate(table["predicted"].to_numpy(), table["observed"].to_numpy())
                task = f"{dataset} ({mode}, {len(table)} candidates, {group['seed'].nunique()} seeds)"
                rows.append(
                    {"task": task, "k": k, "method": method, "tau": found["kendall"], "regret": found["regret"]}
                )
    table = pd.DataFrame(rows)
    for measure, form in (("tau", "{:.2f}".format), ("regret", "{:.1f}".format)):
        print({"tau": "Kendall's tau", "regret": "Regret of the first choice, accuracy points"}[measure])
        wide = table.pivot_table(index="method", columns=["task", "k"], values=measure, sort=False)
        print(wide.T.to_string(float_format=form), end="\n\n")


if __name__ == "__main__":
    main()
