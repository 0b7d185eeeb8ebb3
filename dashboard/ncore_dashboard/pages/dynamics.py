"""Edge dynamics: does training converge, in which layer, and how unevenly?"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from ncore_dashboard.data import edge_dynamics, synapses
from ncore_dashboard.data.library import Library
from ncore_dashboard.data.synapses import HOW_TO_RECORD, Recorded
from ncore_dashboard.figures import dynamics as figures
from ncore_dashboard.parts import run_choice, sidebar, ui
from ncore_dashboard.state import session
from ncore_dashboard.text.plaintext import plain

_LAYER, _PATHS, _WAY = "dynamics-layer", "dynamics-synapses", "dynamics-choice"
_RANGE, _SHARES = "dynamics-range", (1.0, 0.99)
_CHOSEN, _BOX, _IN_URL = "synapses chosen", "synapses box", "synapses in url"
_PAIR = re.compile(r"\s*(\d{1,9})\s*(?:→|->|-|,|\s)\s*(\d{1,9})\s*")
_CHOICES = {"moved": "Moved most", "fast": "Fastest now", "own": "My choice"}
_COURSE_SECONDS = 0.12
_FEW = 8


def page() -> None:
    """Lay out the page."""
    run_choice.follow_click(whole=True)
    ui.head("Edge dynamics", "Do the synapses come to rest, in which layers, and how unevenly?")
    of = run_choice.choose()
    if of is None:
        return
    st.caption(of.left_out)
    if of.trajectories:
        _at_an_epoch(of)
    else:
        ui.empty(
            "The weights and rates of this run were not recorded.",
            f"Phase plots, paths and speeds need them. {HOW_TO_RECORD}",
        )
    done = [_speeds(of), _effective(of), _sparseness(of)]
    if missing := [counts for counts in done if counts and counts[0] < counts[1]]:
        run_choice.go_on(*missing[0])


@st.fragment
def _at_an_epoch(of: Recorded) -> None:
    """What depends on the epoch and the layer: the rest of the page stays as it is when they change."""
    run_choice.follow_click(whole=False)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        epoch = run_choice.epoch_of(of.trajectories)
        layer = _layer(of)
    _phase(of, epoch, layer)
    _paths(of, epoch, layer)
    books, share = sidebar.current(), st.session_state.get(_RANGE)

    def show(other: Recorded, at: int) -> None:
        """What is slow of the phase plane of another epoch or run."""
        if share in _SHARES and layer in other.layers and np.prod(other.shapes[layer - 1]) > edge_dynamics.MOST_POINTS:
            _density(books, other, at, layer, share)

    synapses.read_ahead(books, of, epoch, run_choice.others(of.key), show)


@ui.guarded
def _phase(of: Recorded, epoch: int, layer: int) -> None:
    """Weight against rate."""
    ui.section(
        f"Phase plane of layer {layer}",
        "Each synapse by its weight and by where gradient flow pushes it: at rest on the line dw/dt = 0; above it "
        "weights grow, below they fall.",
        ("weight", "rate"),
    )
    books = sidebar.current()
    sources, targets = of.neurons[layer - 1], of.neurons[layer]
    count = len(sources) * len(targets)
    alt = f"Weight against dw/dt of {count:,} synapses of layer {layer} at epoch {epoch}."
    if count <= edge_dynamics.MOST_POINTS:
        found = synapses.values(books, of, epoch, layer)
        still = edge_dynamics.at_rest(found.rate)
        column, row = np.meshgrid(sources, targets)
        table = pd.DataFrame(
            {
                "source": column.ravel(),
                "target": row.ravel(),
                "weight": found.weight.ravel(),
                "rate": found.rate.ravel(),
            }
        )
        figure = figures.phase_points(found.weight, found.rate, sources, targets, ui.is_dark())
        ui.chart(figure, f"phase-{layer}", alt, table, f"phase-layer-{layer}-epoch-{epoch}", _clicked, "phase")
        st.caption(f"All {count:,} recorded synapses are drawn. Click one to follow its path below.")
    else:
        share = st.segmented_control(
            "Range",
            _SHARES,
            default=1.0,
            format_func={1.0: "All", 0.99: "Middle 99%"}.__getitem__,
            required=True,
            **session.setting(_RANGE),
        )
        share = session.one_of(share, _SHARES, 1.0)
        cells = _density(books, of, epoch, layer, share)
        still = cells.still
        ui.chart(
            figures.phase_density(cells, ui.is_dark()),
            f"phase-{layer}-{share}",
            alt,
            lambda: edge_dynamics.filled_cells(cells),
            f"phase-layer-{layer}-epoch-{epoch}",
            place="phase",
        )
        beyond = f" {cells.outside:,} lie outside these axes." if cells.outside else ""
        st.caption(f"{count:,} synapses, counted in {cells.counts.size:,} cells of equal size.{beyond}")
    if still > 0.005:
        st.markdown(
            f":material/info: {ui.percent(still)} of these synapses have a rate of exactly 0: nothing on the probe "
            "passes through them (an input that is always 0, or a dead neuron), or their errors have vanished."
        )


def _density(books: Library, of: Recorded, epoch: int, layer: int, share: float) -> edge_dynamics.Density:
    """How many synapses of a layer are where in the phase plane."""
    return books.once(
        ("density", epoch, layer, share),
        of.key,
        lambda: edge_dynamics.density(*synapses.values(books, of, epoch, layer), share),
    )


@ui.guarded
def _paths(of: Recorded, epoch: int, layer: int) -> None:
    """Trajectories of some synapses."""
    ui.section(
        "Paths of synapses",
        "From epoch to epoch; the ring is at the chosen epoch and the arrow at the last one.",
        ("weight", "rate"),
    )
    books = sidebar.current()
    with st.container(horizontal=True, vertical_alignment="bottom"):
        way = st.segmented_control(
            "Which synapses",
            tuple(_CHOICES),
            default="moved",
            format_func=_CHOICES.__getitem__,
            required=True,
            **session.setting(_WAY),
        )
        way = session.one_of(way, tuple(_CHOICES), "moved")
        if way == "own":
            texts = _own([f"{a}-{b}" for a, b in edge_dynamics.most_moved(books, of, layer, 20)])
    if way == "own":
        chosen = _known(of, layer, texts)
    elif way == "fast":
        chosen = edge_dynamics.strongest_of(of, layer, synapses.values(books, of, epoch, layer).rate, _FEW)
    else:
        chosen = edge_dynamics.most_moved(books, of, layer, _FEW)
    if not chosen:
        ui.empty("No synapse is chosen.", "Choose some above, or click a point of the phase plane of a small layer.")
        return
    table, epochs = edge_dynamics.courses_of(books, of, layer, chosen, _COURSE_SECONDS)
    ui.chart(
        figures.paths(table, epoch, ui.is_dark()),
        f"paths-{layer}-{way}",
        f"Paths of {len(chosen)} synapses of layer {layer} through the plane of weight and dw/dt.",
        table,
        f"paths-layer-{layer}",
        place="paths",
    )
    if epochs < len(of.trajectories):
        run_choice.go_on(epochs, len(of.trajectories))


@ui.guarded
def _speeds(of: Recorded) -> tuple[int, int] | None:
    """Quantiles of speed by layer."""
    if not of.trajectories:
        return None
    ui.section(
        "Speeds over epochs",
        "A falling band means that a layer converges; a wide one that its synapses do so unevenly.",
        ("speed",),
    )
    books = sidebar.current()
    found, _ = synapses.gathered(
        books, of, "speeds", of.trajectories, lambda at: edge_dynamics.speeds_at(books, of, at), run_choice.deadline()
    )
    if not found:
        st.caption("Reading …")
        return 0, len(of.trajectories)
    table = pd.concat(found.values(), ignore_index=True)
    ui.chart(
        figures.speeds(table, ui.is_dark()),
        "speeds",
        f"Quantiles of |dw/dt| of each layer over {len(found)} epochs, on a logarithmic axis.",
        table,
    )
    st.markdown(_converging(table))
    return len(found), len(of.trajectories)


@ui.guarded
def _effective(of: Recorded) -> tuple[int, int] | None:
    """The effective state."""
    ui.section(
        "Effective state",
        "The mean weight of all synapses, each counted by how strongly it drives others, and where it is pushed.",
        ("x_eff",),
    )
    epochs = [at for at in of.line_graphs if at in of.trajectories]
    if not epochs:
        ui.empty("x_eff can't be computed.", f"It needs weights and the line graph of one epoch. {HOW_TO_RECORD}")
        return None
    books = sidebar.current()
    found, _ = synapses.gathered(
        books, of, "effective", epochs, lambda at: edge_dynamics.effective_at(books, of, at), run_choice.deadline()
    )
    if not found:
        st.caption("Reading …")
        return 0, len(epochs)
    table = pd.concat(found.values(), ignore_index=True)
    ui.chart(
        figures.effective(table, ui.is_dark()),
        "effective",
        f"The effective state and its rate at {len(found)} epochs.",
        table,
        "x-eff",
    )
    _graph_epochs(of, epochs)
    return len(found), len(epochs)


@ui.guarded
def _sparseness(of: Recorded) -> tuple[int, int] | None:
    """The sparse sub-network."""
    ui.section(
        "Sparse sub-network",
        "How few synapses carry most of the interaction strength? The lower the lines, the fewer.",
        ("sparse", "interaction"),
    )
    if not of.line_graphs:
        ui.empty("The line graph of this run was not recorded.", HOW_TO_RECORD)
        return None
    books = sidebar.current()
    found, _ = synapses.gathered(
        books,
        of,
        "sparse",
        of.line_graphs,
        lambda at: edge_dynamics.sparseness_at(books, of, at),
        run_choice.deadline(),
    )
    if not found:
        st.caption("Reading …")
        return 0, len(of.line_graphs)
    table = pd.concat(found.values(), ignore_index=True)
    ui.chart(
        figures.sparseness(table, ui.is_dark()),
        "sparseness",
        "The share of synapses that carries 50, 90 and 99% of the interaction strength, over epochs.",
        table,
    )
    whole = table[(table["layer"] == 0) & np.isfinite(table["synapses"])]
    if len(whole):
        last = whole[whole["epoch"] == whole["epoch"].max()].set_index("strength")["synapses"]
        st.markdown(
            f"At epoch {int(whole['epoch'].max())}, {ui.percent(last[0.5])} of the recorded synapses carry half of the "
            f"interaction strength, {ui.percent(last[0.9])} carry 90% and {ui.percent(last[0.99])} carry 99%."
        )
    return len(found), len(of.line_graphs)


def _layer(of: Recorded) -> int:
    options = list(of.layers)
    arguments = session.setting(_LAYER)
    if _LAYER in st.session_state and st.session_state[_LAYER] not in options:
        st.session_state[_LAYER] = options[0]
    found = st.selectbox(
        "Layer",
        options,
        format_func=lambda n: f"{n} ({of.shapes[n - 1][1]} × {of.shapes[n - 1][0]})",
        width=170,
        **arguments,
    )
    return session.one_of(found, options, options[0])


def _own(suggestions: list[str]) -> list[str]:
    """The box of synapses, as "12-5". They are put into the URL by hand: a bound box forgets what was typed."""
    state = st.session_state
    given = st.query_params.get_all(_PATHS)
    if given and given != state.get(_IN_URL):  # a link, or a step back in the browser's history
        state[_CHOSEN] = given
    state[_BOX] = _tidy(state.get(_CHOSEN, []))

    def changed() -> None:
        state[_CHOSEN] = _tidy(state[_BOX])

    texts = st.multiselect(
        "Source → target",
        list(dict.fromkeys([*state[_BOX], *suggestions])),
        format_func=lambda text: " → ".join(match.groups()) if (match := _PAIR.fullmatch(text)) else text,
        accept_new_options=True,
        max_selections=edge_dynamics.MOST_COURSES,
        placeholder="Choose, or type 12-5",
        key=_BOX,
        on_change=changed,
    )
    found = state[_CHOSEN] = state[_IN_URL] = _tidy(texts)
    if given != found:
        st.query_params[_PATHS] = found
    return found


def _tidy(texts: list[str]) -> list[str]:
    """Each synapse once, as "12-5", however it was written; what is none stays, to be named as such."""
    found = [f"{match[1]}-{match[2]}" if (match := _PAIR.fullmatch(text)) else plain(text, 24) for text in texts]
    return list(dict.fromkeys(found))[: edge_dynamics.MOST_COURSES]


def _known(of: Recorded, layer: int, texts: list[str]) -> list[tuple[int, int]]:
    """Source and target of what was chosen or typed; says what is no recorded synapse of this layer."""
    sources, targets = (set(of.neurons[level].tolist()) for level in (layer - 1, layer))
    found, unknown = [], 0
    for text in texts[: edge_dynamics.MOST_COURSES]:
        match = _PAIR.fullmatch(text)
        if match and int(match[1]) in sources and int(match[2]) in targets:
            found.append((int(match[1]), int(match[2])))
        else:
            unknown += 1
    if unknown:
        st.markdown(
            f":material/info: {unknown} of them {'is' if unknown == 1 else 'are'} no recorded synapse of layer "
            f"{layer}: give a source and a target neuron, such as {min(sources)}-{min(targets)}."
        )
    return list(dict.fromkeys(found))


def _clicked(point: list[Any]) -> None:
    """Follow the synapse whose point was clicked."""
    if len(point) != 2 or not all(isinstance(value, int | float) for value in point):
        return
    text = f"{int(point[0])}-{int(point[1])}"
    before = st.session_state.get(_CHOSEN, [])
    st.session_state[_CHOSEN] = list(dict.fromkeys([*before, text]))[-edge_dynamics.MOST_COURSES :]
    st.session_state[_WAY] = "own"
    run_choice.chosen_by_click()


def _converging(table: pd.DataFrame) -> str:
    """In which layers speeds fell, and how unevenly, in sentences."""
    said = []
    for layer, rows in table.groupby("layer"):
        rows = rows.sort_values("epoch")
        last, moving = rows.iloc[-1], rows[rows["q50"] > 0]
        zero = f"; {ui.percent(last['zero'])} stand still" if last["zero"] > 0.005 else ""
        if not last["q50"] > 0:
            said.append(f"- **Layer {layer}:** the median speed is 0, so most of it is at rest{zero}.")
            continue
        first = moving.iloc[0]
        factor = first["q50"] / last["q50"]
        change = f"fell {_times(factor)}-fold" if factor >= 1 else f"rose {_times(1 / factor)}-fold"
        spread = f"{_times(last['q95'] / last['q50'])} times the median"
        said.append(
            f"- **Layer {layer}:** the median speed {change} from epoch {int(first['epoch'])} to {int(last['epoch'])}; "
            f"its fastest 5% now exceed {spread}{zero}."
        )
    return "\n".join(said)


def _times(factor: float) -> str:
    """A factor with two digits that count, written out: 3,100 and not 3.1e+03."""
    return f"{float(f'{factor:.2g}'):,.15g}"


def _graph_epochs(of: Recorded, epochs: list[int]) -> None:
    missing = len(of.all_epochs) - len(epochs)
    if missing > 0:
        st.caption(
            f"Known at {len(epochs)} of {len(of.all_epochs)} epochs, those with a line graph; "
            "`recording: {line_graph_every: 1}` keeps it at all."
        )


page()
