"""Networks by recipe, from files, and real ones."""

import io

import networkx as nx
import numpy as np
import pytest

from ncore.errors import InputError
from ncore.network.dynamics import (
    GENERATORS,
    REAL,
    Network,
    barabasi_albert,
    communities,
    coupling,
    erdos_renyi,
    mix_by_degree,
    random_regular,
    read_csv,
    read_graphml,
    real_network,
    star,
    watts_strogatz,
)


@pytest.mark.parametrize("kind", sorted(GENERATORS))
def test_a_recipe_gives_the_nodes_and_the_degree_asked_for(kind):
    network = GENERATORS[kind](nodes=300, degree=8, seed=4)
    assert network.nodes == len(network.labels) == 300
    assert coupling(network).mean_degree == pytest.approx(8, rel=0.1)
    assert not network.directed
    assert (network.matrix != network.matrix.T).nnz == 0
    assert network.matrix.diagonal().sum() == 0
    again, other = (GENERATORS[kind](nodes=300, degree=8, seed=seed).matrix for seed in (4, 5))
    assert (again != network.matrix).nnz == 0
    assert (other != network.matrix).nnz > 0


def test_what_recipes_are_known_for():
    assert (random_regular(50, 3).matrix.sum(axis=1) == 3).all()
    assert coupling(barabasi_albert(500, 6)).heterogeneity > 3 * coupling(erdos_renyi(500, 6)).heterogeneity
    assert (watts_strogatz(50, 4, rewired=0.0).matrix.sum(axis=1) == 4).all()
    blocks = communities(300, 10, blocks=3, mixing=0.1).matrix
    inside = sum(blocks[i : i + 100, i : i + 100].sum() for i in (0, 100, 200))
    assert inside / blocks.sum() == pytest.approx(0.9, abs=0.03)
    assert (star(5).nodes, star(5).links) == (5, 4)


@pytest.mark.parametrize("alike", [True, False])
def test_mixing_by_degree_keeps_every_degree(alike):
    plain = erdos_renyi(80, 6, seed=2)
    mixed = mix_by_degree(plain, alike, seed=1)
    np.testing.assert_array_equal(mixed.matrix.sum(axis=1), plain.matrix.sum(axis=1))
    assert mixed.matrix.diagonal().sum() == 0
    assert (mixed.matrix != mixed.matrix.T).nnz == 0
    assert set(mixed.matrix.data) == {1}
    change = nx.degree_assortativity_coefficient(mixed.to_networkx()) - nx.degree_assortativity_coefficient(
        plain.to_networkx()
    )
    assert change > 0.3 if alike else change < -0.3


@pytest.mark.parametrize("name", sorted(REAL))
def test_real_networks_say_where_they_come_from(name):
    network = real_network(name)
    assert "BSD-3-Clause" in network.source
    assert not network.directed
    assert coupling(network).beta_eff > 1
    graph = network.to_networkx()
    assert (graph.number_of_nodes(), graph.number_of_edges()) == (network.nodes, network.links)
    assert [label for _, label in graph.nodes(data="label")] == list(network.labels)
    back = Network.from_networkx(graph)
    assert (back.matrix != network.matrix).nnz == 0


def test_known_sizes():
    sizes = {name: (real_network(name).nodes, real_network(name).links) for name in REAL}
    assert sizes == {
        "karate": (34, 78),
        "les_miserables": (77, 254),
        "southern_women": (32, 89),
        "florentine_families": (15, 20),
    }


def test_directions_survive_the_way_to_networkx_and_back():
    network = Network.from_networkx(nx.DiGraph([("a", "b"), ("b", "c"), ("c", "c")]), "chain")
    assert (network.directed, network.links) == (True, 3)
    graph = network.to_networkx()
    assert set(graph.edges) == {(0, 1), (1, 2), (2, 2)}
    assert graph.nodes[0]["label"] == "a"
    loops = Network.from_networkx(nx.Graph([(0, 0), (0, 1)]))
    assert loops.links == 2


def csv(text, **arguments):
    return read_csv(io.StringIO(text), **arguments)


def test_an_edge_list(tmp_path):
    path = tmp_path / "plants.csv"
    path.write_text("from,to,visits\nbee,rose,3\nbee, clover,1.5\nfly,rose,2\nrose,bee,3\n", encoding="utf-8")
    network = read_csv(path, source="from", target="to", weight="visits")
    assert (network.name, network.labels, network.links) == ("plants", ("bee", "rose", "clover", "fly"), 3)
    expected = np.zeros((4, 4))
    expected[0, 1] = expected[1, 0] = 3
    expected[0, 2] = expected[2, 0] = 1.5
    expected[3, 1] = expected[1, 3] = 2
    np.testing.assert_array_equal(network.matrix.toarray(), expected)
    with path.open("rb") as file:
        same = read_csv(file, source="from", target="to", weight="visits")
    assert same.name == "plants"
    assert (same.matrix != network.matrix).nnz == 0


def test_a_directed_edge_list_drives_from_source_to_target():
    network = csv("source,target,weight\n1,2,0.5\n2,1,4\n2,2,1\n", directed=True)
    np.testing.assert_array_equal(network.matrix.toarray(), [[0, 4], [0.5, 1]])
    assert csv("source,target\n1,2\n1,3\n").matrix.sum() == 4
    assert csv("source,target\n1,1\n").matrix.toarray().tolist() == [[1]]
    assert csv("\ufeffsource,target\n1,2\n").nodes == 2  # as spreadsheets begin a file
    assert csv("source,target\nNA,1\n").labels == ("NA", "1")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "cannot be read as CSV"),
        ("a,b\n1,2\n", "columns a, b, but not 'source'"),
        ("source,target\n", "no rows"),
        ("source,target\n1,2\n3, \n", "Row 3.*lacks an end"),
        ("source,target,weight\n1,2,x\n", "Row 2.*'x'"),
        ("source,target,weight\n1,2,1\n1,3,inf\n", "Row 3.*'inf'"),
        ("source,target,weight\n1,2,\n", "Row 2.*''"),
        ("source,target\n1,2\n1,2\n", "1 - 2 more than once"),
        ("source,target,weight\n1,2,1\n2,1,2\n", "1 - 2 more than once.*directed=True"),
        ("source,target\n1,2,3\n", "cannot be read as CSV"),
        ("source,target,weight\n1,2,1\n1,3\n", "Row 3.*''"),
        ("target,source\n1,2\n3\n", "Row 3.*lacks an end"),
    ],
)
def test_an_edge_list_that_says_no_network_is_refused(text, words):
    with pytest.raises(InputError, match=words):
        csv(text)


def test_an_address_is_not_fetched():
    with pytest.raises(InputError, match="cannot be read"):
        read_csv("http://localhost:1/links.csv")


def test_a_definition_is_found_in_any_encoding():
    text = "<?xml version='1.0' encoding='utf-16'?><!DOCTYPE x [<!ENTITY a 'aaaa'>]><graphml/>"
    with pytest.raises(InputError, match="document type definition"):
        read_graphml(io.BytesIO(text.encode("utf-16")))


def test_a_missing_file_is_named(tmp_path):
    for read in (read_csv, read_graphml):
        with pytest.raises(InputError, match="'nowhere' cannot be read"):
            read(tmp_path / "nowhere.xml")


def test_bytes_that_are_no_text_are_refused():
    for read in (read_csv, read_graphml):
        with pytest.raises(InputError, match="cannot be read"):
            read(io.BytesIO(b"\xff\xfe\x00\x81source"))


@pytest.mark.parametrize("kind", [nx.Graph, nx.DiGraph])
def test_graphml(tmp_path, kind):
    graph = kind()
    graph.add_edge("a", "b", weight=2.0)
    graph.add_edge("b", "c")
    path = tmp_path / "web.graphml"
    nx.write_graphml(graph, path)
    network = read_graphml(path)
    assert (network.name, network.labels, network.directed) == ("web", ("a", "b", "c"), graph.is_directed())
    assert network.matrix[1, 0] == 2
    assert network.matrix[2, 1] == 1
    assert network.matrix[0, 1] == (0 if graph.is_directed() else 2)
    nx.set_node_attributes(graph, {"a": "Ant", "b": "Bee", "c": "Cow"}, "label")
    nx.write_graphml(graph, path)
    with path.open("rb") as file:
        assert read_graphml(file, name="farm").labels == ("Ant", "Bee", "Cow")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("not xml", "cannot be read as GraphML"),
        ("<html/>", "cannot be read as GraphML"),
        ("<!DOCTYPE x [<!ENTITY a 'aaaa'>]><graphml/>", "document type definition"),
        (
            '<graphml><graph edgedefault="directed"/></graphml>',
            "no nodes",
        ),
    ],
)
def test_graphml_that_says_no_network_is_refused(text, words):
    with pytest.raises(InputError, match=words):
        read_graphml(io.StringIO(text))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: erdos_renyi(1, 1), "1 nodes"),
        (lambda: erdos_renyi(10, 10), "mean degree of 10"),
        (lambda: erdos_renyi(10, 0), "mean degree of 0"),
        (lambda: barabasi_albert(4, 3), "degree of 4 is too much"),
        (lambda: watts_strogatz(10, 4, rewired=2), "share of links is 2"),
        (lambda: random_regular(9, 3), "9 nodes of degree 3"),
        (lambda: communities(10, 2, blocks=6), "6 communities"),
        (lambda: communities(10, 8, mixing=0.0), "does not fit"),
        (lambda: star(1), "star of 1"),
        (lambda: real_network("internet"), "'internet'.*karate"),
        (lambda: mix_by_degree(real_network("karate"), True), "unequal weights"),
    ],
)
def test_networks_that_do_not_exist_are_refused(make, words):
    with pytest.raises(InputError, match=words):
        make()
