from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ncore_dashboard.data.clock import Clock
from ncore_dashboard.data.gap import gap
from ncore_dashboard.report import evidence_of, page, recommendation, report_html, write_report
from ncore_dashboard.report.evidence import Evidence, evidence_from_store
from ncore_dashboard.text.phrases import chance, duration, percent

import ncore
from ncore.errors import InputError, StoreError
from ncore.predict import Curve, predictor_names
from ncore.store import open_store

SAMPLES = Path(ncore.__file__).parent.parent / "sample_runs"
TASKS = [("digits", "all", 5, "last"), ("cifar10", "unit", 3, "exponential")]
TASKS += [("fashion-mnist", "backbone", 4, "capacitance-signed")]


class Elements(HTMLParser):
    """What a page consists of."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "wbr"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def curve(candidate: str, seed: int, accuracy: list[float], observed: float = math.nan, **other: Any) -> Curve:
    epochs = np.arange(1, len(accuracy) + 1)
    return Curve(candidate, seed, epochs, np.array(accuracy), {}, 6, observed=observed, **other)


def clocks(names: list[str], seeds: int, pace: float = 2.0) -> dict[str, list[Clock]]:
    epochs = np.arange(7.0)
    return {name: [Clock(epochs, pace * epochs, 6)] * seeds for name in names}


def running(second: float = 0.89) -> Evidence:
    """Three candidates, the last far behind; none has ended."""
    curves = [
        curve(name, seed, [top - 0.2, top - 0.05, top - 0.02 + 0.01 * seed])
        for name, top in (("a", 0.9), ("b", second), ("c", 0.3))
        for seed in (0, 1)
    ]
    times = clocks(["a", "b", "c"], 2)
    return evidence_of(curves, times, dataset="d", mode="all", epochs=3, method="last", place="s")


def ended(finals: dict[str, list[float]]) -> Evidence:
    curves = [
        curve(name, seed, [0.5, 0.6, 0.6, 0.6, 0.6, 0.6], final, test_images=400)
        for name, values in finals.items()
        for seed, final in enumerate(values)
    ]
    return evidence_of(curves, clocks(list(finals), 2), dataset="d", mode="all", epochs=2, method="last", place="s")


@pytest.fixture(scope="module", params=TASKS, ids=[task[0] for task in TASKS])
def sample(request: pytest.FixtureRequest) -> tuple[str, Evidence]:
    """A report on sample runs, and what it rests on."""
    dataset, mode, k, method = request.param
    html = report_html(SAMPLES, dataset, k, method, mode)
    return html, evidence_from_store(open_store(SAMPLES), dataset, k, method, mode, "sample_runs")


def test_it_needs_nothing_beside_it(sample: tuple[str, Evidence]) -> None:
    html, _ = sample
    found = Elements(html)
    assert found.open == []
    assert len(html.encode()) < 300_000
    assert not {"script", "link", "img", "iframe", "object", "embed", "a", "form", "image", "use"} & {
        tag for tag, _ in found.tags
    }
    for _, attributes in found.tags:
        assert not {"src", "href", "xlink:href", "srcset", "action", "data"} & set(attributes)
        assert not any(name.startswith("on") for name in attributes)
    assert "url(" not in html
    assert "@import" not in html
    assert "://" not in html
    policy = [attributes["content"] for tag, attributes in found.tags if "http-equiv" in attributes]
    assert policy == ["default-src 'none'; style-src 'unsafe-inline'"]


@pytest.mark.with_benchmark  # as the report, which is made once for this module
def test_its_numbers_are_those_of_rank(sample: tuple[str, Evidence]) -> None:
    html, e = sample
    table = ncore.rank(SAMPLES, e.dataset, e.k, e.method, e.mode)
    text = Elements(html).text
    rows = re.findall(r"<tr>(.*?)</tr>", html.split("All candidates</h2>")[1].split("</table>")[0])[1:]
    assert len(rows) == len(table)
    for html_row, row in zip(rows, table.to_dict("records"), strict=True):
        cells = [unescape(cell.replace("<wbr>", "")) for cell in re.findall(r"<td[^>]*>(.*?)</td>", html_row)]
        assert cells[:7] == [
            f"{row['rank']}",
            row["candidate"],
            percent(row["predicted"]),
            f"{percent(row['lower'])} – {percent(row['upper'])}",
            percent(row["p_best"], 0),
            percent(row["observed"]),
            f"{row['seeds']}",
        ]
    first = table.iloc[0]
    assert (
        f"ranks {first['candidate']} first: it is predicted to end at {percent(first['predicted'])} (90% interval "
        f"{percent(first['lower'])} – {percent(first['upper'])}) and is the best with a probability of "
        f"{chance(first['p_best'])}."
    ) in text
    best = table.loc[table["observed"].idxmax()]
    assert f"Choose {best['candidate']}: trained to the end, it classifies {percent(best['observed'])}" in text
    listing = open_store(SAMPLES).runs().query("dataset == @e.dataset and mode == @e.mode")
    assert f"{len(table)} candidate models, {len(listing)} training runs" in text
    assert f"The test set has {e.images:,} examples" in text


def test_all_pictures_say_what_they_show(sample: tuple[str, Evidence]) -> None:
    pictures = [attributes for tag, attributes in Elements(sample[0]).tags if tag == "svg"]
    assert len(pictures) == 3
    assert all(picture["role"] == "img" and len(picture["aria-label"] or "") > 30 for picture in pictures)
    assert "nan" not in " ".join(re.findall(r"<svg.*?</svg>", sample[0]))


def test_hostile_text_stays_text(hostile: Path) -> None:
    html = report_html(hostile, "digits", 3)
    assert "<script" not in html
    assert "<b>" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert "\u202e" not in html
    assert Elements(html).open == []
    other = report_html(hostile, "<u>data</u> *set*", 3)
    assert "<u>" not in other
    assert "&lt;u&gt;data&lt;/u&gt; *set*" in other


@pytest.mark.parametrize("method", predictor_names())
def test_every_method_can_be_reported(store: Path, method: str) -> None:
    assert "Recommendation" in report_html(str(store), epochs=4, method=method)


def test_a_clear_leader_is_recommended() -> None:
    names, certain = running(second=0.4).shortlist()
    assert names == ["a"]
    text = recommendation.recommendation(running(second=0.4))
    assert text.startswith("Choose a: after 3 of 6 epochs it is ahead of 2 others")
    assert chance(certain) in text


def test_what_is_close_goes_on() -> None:
    e = running()
    names, certain = e.shortlist()
    assert names == ["a", "b"]
    assert certain == pytest.approx(e.rated["p_best"].head(2).sum())
    assert recommendation.recommendation(e).startswith("Go on with a and b and stop the other 1: after 3 of 6 epochs")
    assert e.rated["p_best"].iloc[0] < 0.9


def test_the_price_of_being_surer_is_measured() -> None:
    options = {option.what: option.seconds for option in recommendation.options(running())}
    assert options == {
        "Epochs 4 to 6 of a and b": 2 * 2 * 3 * 2.0,
        "One more seed, up to epoch 3, of a and b": 2 * 3 * 2.0,
        "Training a and b to the end (epoch 6)": 2 * 2 * 3 * 2.0,
        "Training every candidate to the end (epoch 6)": 3 * 2 * 3 * 2.0,
    }
    assert f"takes {duration(36.0)}, to the end {duration(72.0)}" in recommendation.spent(running())


def test_without_times_there_is_no_price() -> None:
    e = evidence_of(
        [curve("a", 0, [0.5, 0.6]), curve("b", 0, [0.4])], {}, dataset="d", mode="m", epochs=1, method="last"
    )
    assert "no price can be given" in recommendation.spent(e)
    assert "an unknown time" in page(e)


def test_when_all_has_ended_the_best_is_recommended_and_its_rivals_named() -> None:
    e = ended({"a": [0.90, 0.91], "b": [0.905, 0.895], "c": [0.5, 0.51]})
    assert recommendation.recommendation(e).startswith("Choose a: trained to the end, it classifies 90.5%")
    assert recommendation.rivals(e) == ["b"]
    assert recommendation.firmness(e)[0].startswith("b can’t be told apart from a")
    what = [option.what for option in recommendation.options(e)]
    assert what[0] == "One more seed, to the end, of a and b"
    assert re.fullmatch(r"About \d+ seeds each of a and b, where there are 2", what[-1])


def test_a_winner_that_stands_out_has_no_rivals() -> None:
    e = ended({"a": [0.90, 0.91], "b": [0.5, 0.51]})
    assert recommendation.rivals(e) == []
    assert "No other candidate" in recommendation.firmness(e)[0]


def test_one_seed_says_nothing_about_chance() -> None:
    e = ended({"a": [0.9], "b": [0.5]})
    assert recommendation.rivals(e) == []
    assert "one seed only" in recommendation.firmness(e)[0]
    assert any("can’t be said" in text for text in recommendation.uncertainty(e))


def test_a_single_candidate_leaves_no_choice() -> None:
    e = evidence_of([curve("a", 0, [0.5, 0.6])], {}, dataset="d", mode="all", epochs=2, method="last")
    assert "nothing to choose" in recommendation.recommendation(e)
    assert "nothing to choose" in Elements(page(e)).text


def test_failed_runs_are_named() -> None:
    curves = [curve("a", 0, [0.5, 0.6]), curve("b", 0, [0.4]), curve("c", 0, [], status="failed", reason="loss is NaN")]
    e = evidence_of(curves, {}, dataset="d", mode="all", epochs=2, method="last")
    text = Elements(page(e)).text
    assert "1 of 3 runs failed, stopped early or can’t be read (of c)" in text
    assert "failed: loss is NaN" in text


def test_damaged_runs_do_not_hide_the_others(broken: Path) -> None:
    text = Elements(report_html(str(broken), epochs=3)).text
    assert "can’t be read" in text
    assert "Recommendation" in text


def test_many_candidates_are_drawn_in_part_and_listed_all() -> None:
    curves = [curve(f"net{i:03d}", 0, [0.1, 0.2 + i / 400]) for i in range(120)]
    html = page(evidence_of(curves, {}, dataset="d", mode="all", epochs=2, method="last"))
    assert "The best 20 are drawn" in html
    assert html.split("All candidates</h2>")[1].count("net") >= 120


def test_the_scheme_can_be_fixed_and_paper_is_always_light() -> None:
    e, now = running(), datetime(2030, 1, 2, 3, 4, tzinfo=UTC)
    auto, light, dark = (page(e, scheme, now) for scheme in ("auto", "light", "dark"))
    assert "@media screen and (prefers-color-scheme: dark)" in auto
    assert "@media screen" not in light
    assert "@media screen {:root { color-scheme: dark" in dark
    assert "2030-01-02 at 03:04 UTC" in auto


def test_the_command_that_makes_it_again_is_quoted() -> None:
    curves = [curve("a", 0, [0.5, 0.6]), curve("b", 0, [0.4, 0.5])]
    e = evidence_of(curves, {}, dataset="my; data", mode="all", epochs=2, method="last", place="the runs")
    text = Elements(page(e)).text
    assert "ncore report 'the runs' --dataset 'my; data' --mode all --epochs 2 --method last" in text


def test_what_can_not_be_ranked_is_an_error(store: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="'digits'"):
        report_html(store, "mnist")
    with pytest.raises(InputError, match="predictor"):
        report_html(store, method="oracle")
    with pytest.raises(InputError, match="epochs"):
        report_html(store, epochs=2, method="capacitance-signed")
    with pytest.raises(StoreError):
        report_html(tmp_path / "nowhere")


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "r.html"
    target.write_text("old")
    assert write_report("new – ü", target) == target
    assert target.read_text("utf-8") == "new – ü"
    with pytest.raises(InputError, match="nowhere"):
        write_report("x", tmp_path / "nowhere" / "r.html")
    with pytest.raises(InputError, match="can't be written"):
        write_report("x", tmp_path)
    with pytest.raises(InputError, match="can't be written"):
        write_report("\ud800", target)
    assert target.read_text("utf-8") == "new – ü"
    assert [path.name for path in tmp_path.iterdir()] == ["r.html"]


def test_welch_interval_is_that_of_scipy() -> None:
    from scipy.stats import ttest_ind

    first, second = np.array([0.91, 0.93, 0.9]), np.array([0.88, 0.92])
    low, high = ttest_ind(first, second, equal_var=False).confidence_interval(0.9)
    found = gap(first, second)
    assert (found.size - found.half_width, found.size + found.half_width) == pytest.approx((low, high))
