"""Recorded training on digits as the dynamics of synapses: its flow, x_eff, convergence and sparse sub-networks.

    python tests/benchmarks/bench_edge_dynamics.py [flow] [effective] [convergence] [pruning] [--seeds N]

A unit 64-16-12-8-10 with tanh, 512 training examples, batches of 32 or all images. Weights are those of ordinary torch
training in float32, read back from a store; the ODE is solved in float64 from the same start. Takes about ten minutes
of one core.
"""

from __future__ import annotations

import argparse
import tempfile

import numpy as np
import pandas as pd
import torch
from sklearn.datasets import load_digits
from torch import nn

import ncore
from ncore.network.edge_dynamics import (
    Landscape,
    convergence,
    descend,
    effective_path,
    flow_time,
    gradient_flow,
    interaction_scores,
    kept,
    layer_paths,
    magnitude_scores,
    momentum_flow,
    part_ways,
    prune,
    random_scores,
    what_is_left,
)
from ncore.network.line_graph import LineGraph

TRAIN, BATCH = 512, 32
LOSS = nn.CrossEntropyLoss()


def data() -> tuple[torch.Tensor, torch.Tensor]:
    images, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(labels))
    return torch.from_numpy(images[order] / 16).float(), torch.from_numpy(labels[order])


def markdown(table: pd.DataFrame, form: str = ".2g") -> str:
    """A table as Markdown."""
    rows = [[format(v, form) if isinstance(v, float) else str(v) for v in row] for row in table.to_numpy(object)]
    lines = [[str(name) for name in table.columns], ["---"] * table.shape[1], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def wide(accuracy: pd.Series) -> pd.DataFrame:
    """Per cent, a column a level."""
    return accuracy.mul(100).unstack("level").rename(columns=lambda level: f"{level:.0%}").reset_index()


def unit(seed: int = 0) -> ncore.NCPUnit:
    return ncore.NCPUnit(64, 10, widths=(16, 12, 8), activation="tanh", seed=seed)


class Recorded:
    """A run trained by torch's SGD, as its store has it: ``weights`` and ``rates`` (epochs + 1, synapses)."""

    def __init__(
        self, folder: str, learning_rate: float, epochs: int, momentum: float = 0.0, batch: int = BATCH
    ) -> None:
        x, y = data()
        x, y = x[:TRAIN], y[:TRAIN]
        model, generator = unit(), torch.Generator().manual_seed(1)
        self.landscape = Landscape(model, x, y, loss=LOSS)
        self.learning_rate, self.momentum, self.epochs, self.steps = learning_rate, momentum, epochs, TRAIN // batch
        optimizer = torch.optim.SGD(model.parameters(), lr=learning_rate, momentum=momentum)
        about = {"candidate": f"lr {learning_rate} momentum {momentum} batch {batch}", "dataset": "digits"}
        settings = {"neurons": None, "line_graph_every": 1}
        with ncore.Recorder(folder, None, unit=model, probe=(x, y), loss=LOSS, recording=settings, **about) as recorder:
            for _ in range(epochs):
                for picked in torch.randperm(TRAIN, generator=generator).split(batch):
                    optimizer.zero_grad()
                    LOSS(model(x[picked]), y[picked]).backward()
                    optimizer.step()
                recorder.record()
        self.run = ncore.open_store(folder).run(recorder.run_id)
        table = self.run.trajectory()
        self.paths = layer_paths(table)[1]
        self.weights = self._flat(self.paths)
        self.rates = self._flat(layer_paths(table, "rate")[1])

    @property
    def times(self) -> np.ndarray:
        """Of the flow, at the end of each epoch."""
        whole = flow_time(np.full(self.epochs * self.steps, self.learning_rate), self.momentum)
        return whole[:: self.steps]

    def _flat(self, paths: dict[int, np.ndarray]) -> np.ndarray:
        return np.concatenate([path.reshape(self.epochs + 1, -1) for path in paths.values()], axis=1)


def flow(folder: str) -> None:
    print("\n## Where training parts from its flow: share of the way travelled since the start\n")
    rows = []
    for learning_rate, momentum, epochs in ((0.1, 0.0, 20), (0.05, 0.0, 40), (0.025, 0.0, 80), (0.01, 0.9, 20)):
        noisy = Recorded(folder, learning_rate, epochs, momentum)
        landscape = noisy.landscape
        full = descend(landscape, learning_rate, epochs * noisy.steps, momentum=momentum, every=noisy.steps)
        smooth = gradient_flow(landscape, noisy.times, rtol=1e-6).weights
        here = landscape.synapses
        table = part_ways(smooth[:, here], full[:, here], noisy.weights)
        table["second"] = np.nan
        if momentum:
            ball = momentum_flow(landscape, learning_rate, momentum, noisy.steps * np.arange(epochs + 1), rtol=1e-6)
            gap = np.linalg.norm((full - ball.weights)[1:, here], axis=1)
        else:
            modified = gradient_flow(landscape, noisy.times, finite_step=learning_rate, rtol=1e-6).weights
            gap = np.linalg.norm((full - modified)[1:, here], axis=1)
        table["second"] = gap / table["travelled"]
        scale = epochs // 20
        picked = table[table["epoch"].isin([scale, 2 * scale, 5 * scale, 10 * scale, 20 * scale])]
        for row in picked.to_dict("records"):
            rows.append(
                {"lr": learning_rate, "momentum": momentum, "epoch": row["epoch"], "time": noisy.times[row["epoch"]]}
                | {"finite steps": row["finite_steps_share"], "second order": row["second"]}
                | {"noise": row["noise_share"], "apart": row["apart_share"]}
            )
    print(markdown(pd.DataFrame(rows)))


def effective(folder: str) -> None:
    print("\n## x_eff and its one-dimensional equation\n")
    record = Recorded(folder, 0.1, 20)
    for strength in ("signed", "absolute"):
        graphs = [record.run.line_graph(epoch, strength=strength) for epoch in range(record.epochs + 1)]
        path = effective_path(graphs, record.weights, record.rates, record.times)
        names = [
            "time",
            "beta_eff",
            "conditioning",
            "x_eff",
            "mean",
            "rate",
            "pull",
            "undriven",
            "reduced",
            "x_reduced",
        ]
        print(f"{strength}:\n")
        print(markdown(path.iloc[[0, 1, 2, 5, 10, 20]][names]))
        change = path["x_eff"] - path["x_eff"][0]
        predicted = path["x_reduced"] - path["x_eff"][0]
        measured = {
            "median |pull - reduced| / |pull|": off(path["pull"], path["reduced"]),
            "median |rate - reduced| / |rate|": off(path["rate"], path["reduced"]),
            "epochs with rate and reduced of one sign": float((path["rate"] * path["reduced"] > 0).mean()),
            "change of x_eff, recorded": change.iloc[-1],
            "by the equation": predicted.iloc[-1],
            "median |drift| / |change| an epoch": (path["drift"].abs() / path["x_eff"].diff().abs()).median(),
        }
        print(f"\n{strength}: " + "; ".join(f"{name} {value:.2g}" for name, value in measured.items()) + "\n")


def off(exact: pd.Series, approximate: pd.Series) -> float:
    """Median relative error."""
    return float(((exact - approximate).abs() / exact.abs()).median())


def layers(folder: str) -> None:
    print("\n## Convergence of layers\n")
    record = Recorded(folder, 0.1, 40)
    rows = []
    for layer, path in record.paths.items():
        table = convergence(path, np.arange(record.epochs + 1))
        rows.append(
            {"layer": layer, "speed, epoch 1": table["speed"][1], "epoch 40": table["speed"].iloc[-1]}
            | {"turning, first 5": table["turning"][2:7].mean(), "last 5": table["turning"][-5:].mean()}
            | {"curvature, first 5": table["curvature"][2:7].mean(), "last 5 ": table["curvature"][-5:].mean()}
            | {"effective rank, start": table["effective_rank"][0], "end": table["effective_rank"].iloc[-1]}
            | {"of the update": table["update_effective_rank"].iloc[-1], "of": min(path.shape[1:])}
            | {"stable rank, start": table["stable_rank"][0], "end ": table["stable_rank"].iloc[-1]}
            | {"of the update ": table["update_stable_rank"].iloc[-1]}
        )
    print(markdown(pd.DataFrame(rows)))


def pruning(seeds: int) -> None:
    print(f"\n## Sparse sub-networks, mean of {seeds} seeds; accuracy on 1,285 images\n")
    x, y = data()
    tables, left = [], []
    for seed in range(seeds):
        landscape = Landscape(unit(seed), x[:TRAIN], y[:TRAIN], loss=LOSS)
        w = descend(landscape, 0.1, 60 * 16, momentum=0.9, batch_size=BATCH, every=60 * 16, seed=seed)[-1]
        graph = LineGraph.from_batch(landscape.at(w), x[:TRAIN].double(), y[:TRAIN], loss=LOSS)
        synapses = w[landscape.synapses]
        scores = {
            "magnitude": magnitude_scores(synapses),
            "interaction": interaction_scores(graph, synapses),
            "random": random_scores(synapses, seed),
        }
        for by_layer in (False, True):
            table = prune(landscape, w, scores, (x[TRAIN:], y[TRAIN:]), by_layer=by_layer, steps=320, seed=seed)
            tables.append(table.assign(cut="in each layer" if by_layer else "over all"))
        for name, values in scores.items():
            mask = kept(values, 0.9)
            shapes = [(b, a) for a, b in zip(graph.widths, graph.widths[1:], strict=False)]
            parts = [
                [v[s].reshape(shape) for s, shape in zip(graph.layer_slices, shapes, strict=True)]
                for v in (mask, synapses)
            ]
            left.append(what_is_left(*parts).assign(score=name))
    table = pd.concat(tables).groupby(["cut", "score", "level"], sort=False)[["accuracy", "trained_on"]].mean()
    for kind, title in (("accuracy", "at once"), ("trained_on", "trained on for 20 epochs")):
        print(f"{title}:\n\n{markdown(wide(table[kind]), '.1f')}\n")
    columns = ["share", "norm", "useful", "neurons", "effective_rank"]
    print("What is left at a level of 90%, cut over all:\n")
    print(markdown(pd.concat(left).groupby(["score", "layer"], sort=False)[columns].mean().reset_index()))


if __name__ == "__main__":
    parts = ("flow", "effective", "convergence", "pruning")
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("parts", nargs="*", default=parts, choices=parts)
    arguments.add_argument("--seeds", type=int, default=3)
    given = arguments.parse_args()
    torch.set_num_threads(1)
    for part in given.parts:
        with tempfile.TemporaryDirectory() as place:
            if part == "pruning":
                pruning(given.seeds)
            else:
                {"flow": flow, "effective": effective, "convergence": layers}[part](place)
