"""Networks from files: an edge list in CSV, or GraphML."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import IO, Any
from xml.etree.ElementTree import ParseError
from xml.parsers.expat import ExpatError, ParserCreate

import numpy as np
import pandas as pd
from scipy.sparse import csr_array

from ncore.errors import InputError
from ncore.network.dynamics._matrix import as_matrix
from ncore.network.dynamics.networks import Network

__all__ = ["Source", "read_csv", "read_graphml"]

Source = str | Path | IO[bytes] | IO[str]


def read_csv(
    file: Source,
    *,
    source: str = "source",
    target: str = "target",
    weight: str = "weight",
    directed: bool = False,
    name: str = "",
) -> Network:
    r"""An edge list: one link a row, under a line of column names.

    Args:
        file: A path, or an open file.
        source, target: The columns of the two ends; the source drives the target. Ends are names: 1 and 1.0 differ.
        weight: The column of weights; without such a column every link weighs 1.
        directed: Keep directions; otherwise a row drives both ways, and one link may be listed in both directions
            with the same weight.
        name: For titles; by default that of the file.

    Returns:
        The network; its nodes are the ends, in the order in which they first appear, row by row.

    Raises:
        InputError: Not a table, a missing column or end, a weight that is no number, or a link that is listed twice.

    Example:
        >>> import io
        >>> read_csv(io.StringIO("source,target,weight\na,b,2\nb,c,0.5")).matrix.toarray()
        array([[0. , 2. , 0. ],
               [2. , 0. , 0.5],
               [0. , 0.5, 0. ]])
    """
    title = name or _name(file)
    try:
        content = io.BytesIO(_bytes(file))
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # rows longer than the line of names
            table = pd.read_csv(content, dtype=str, index_col=False, keep_default_na=False, skipinitialspace=True)
        table = table.fillna("")  # what a short row lacks
    except (OSError, ValueError, pd.errors.ParserWarning) as error:  # parser and encoding errors are ValueErrors
        raise InputError(f"The edge list {title!r} cannot be read as CSV ({_line(error)}): check the file.") from error
    for column in (source, target):
        if column not in table:
            raise InputError(
                f"The edge list {title!r} has the columns {', '.join(map(str, table.columns))}, but not {column!r}: "
                "rename one, or say which holds the ends of a link."
            )
    if table.empty:
        raise InputError(f"The edge list {title!r} has no rows, but a network needs a link at least.")
    ends = table[[source, target]].apply(lambda column: column.str.strip())
    blank = (ends == "").any(axis=1)
    if blank.any():
        raise InputError(f"Row {_row(blank)} of the edge list {title!r} lacks an end: fill it in or remove the row.")
    codes, labels = pd.factorize(ends.to_numpy().ravel())
    tail, head = codes.reshape(-1, 2).T
    weights = _weights(table[weight], title) if weight in table else np.ones(len(table))
    matrix = _matrix(tail, head, weights, labels, directed, title)
    return Network(title, matrix, tuple(labels.tolist()), directed, "")


def read_graphml(file: Source, *, weight: str = "weight", name: str = "") -> Network:
    """A GraphML file, as Gephi, yEd, igraph or networkx write it.

    Args:
        file: A path, or an open file.
        weight: The link attribute that holds weights; links without it weigh 1.
        name: For titles; by default that of the file.

    Returns:
        The network; labels are the nodes' ``label`` attributes where all have one, else their ids.

    Raises:
        InputError: Not GraphML, no nodes, a document type definition (which may hide entities that expand without
            end), or a weight that is no number.
    """
    import networkx as nx

    title = name or _name(file)
    try:
        content = _bytes(file)
        _refuse_definitions(content, title)
        graph = nx.read_graphml(io.BytesIO(content))
    except InputError:
        raise
    except (OSError, ExpatError, ParseError, nx.NetworkXException, KeyError, ValueError, TypeError) as error:
        raise InputError(f"The file {title!r} cannot be read as GraphML ({_line(error)}): check the file.") from error
    labels = nx.get_node_attributes(graph, "label")
    network = Network.from_networkx(graph, title, weight=weight)
    if len(labels) < network.nodes:
        return network
    return Network(title, network.matrix, tuple(str(labels[node]) for node in graph), network.directed)


def _matrix(
    tail: np.ndarray, head: np.ndarray, weights: np.ndarray, labels: Any, directed: bool, title: str
) -> csr_array:
    """P of a list of links, each listed once, or undirected ones once in each direction."""
    links = pd.DataFrame({"tail": tail, "head": head, "weight": weights})
    double = links.duplicated(["tail", "head"])
    if not (directed or double.any()):
        links["tail"], links["head"] = np.minimum(tail, head), np.maximum(tail, head)
        links = links.drop_duplicates()
        double = links.duplicated(["tail", "head"])
    if double.any():
        tail, head, _ = links[double].iloc[0]
        raise InputError(
            f"The edge list {title!r} has the link {labels[int(tail)]} - {labels[int(head)]} more than once: add the "
            "rows up, or pass directed=True if its two directions differ in weight."
        )
    i, j, w = (links[column].to_numpy() for column in ("head", "tail", "weight"))
    if not directed:
        other = i != j
        i, j, w = np.r_[i, j[other]], np.r_[j, i[other]], np.r_[w, w[other]]
    return as_matrix(csr_array((w, (i, j)), shape=(len(labels), len(labels))))


def _weights(column: pd.Series, title: str) -> np.ndarray:
    numbers = pd.to_numeric(column, errors="coerce")
    bad = ~np.isfinite(numbers)
    if bad.any():
        raise InputError(
            f"Row {_row(bad)} of the edge list {title!r} has the weight {column[bad].iloc[0]!r}, but it must be a "
            "finite number."
        )
    return numbers.to_numpy(dtype=np.float64)


def _row(wrong: pd.Series) -> int:
    """The line of the first wrong row, as an editor counts: from 1, the column names included."""
    return int(np.flatnonzero(wrong)[0]) + 2


def _refuse_definitions(content: bytes, title: str) -> None:
    """Stop at a document type definition, in whatever encoding, before anything in it is expanded."""

    def refuse(*_: Any) -> None:
        raise InputError(f"The file {title!r} holds a document type definition: remove it, GraphML needs none.")

    parser = ParserCreate()
    parser.StartDoctypeDeclHandler = refuse
    parser.Parse(content, True)


def _bytes(file: Source) -> bytes:
    if isinstance(file, str | Path):
        return Path(file).read_bytes()
    content = file.read()
    return content.encode() if isinstance(content, str) else content


def _name(file: Source) -> str:
    path = file if isinstance(file, str | Path) else getattr(file, "name", "")
    return Path(str(path)).stem or "network"


def _line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
