from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import pytest
from ncore_dashboard.app import launch
from ncore_dashboard.app.serve import prepare

from ncore.errors import InputError


def test_the_server_is_closed_to_others_by_default() -> None:
    command = launch.command(8501, browser=False)
    for flag in (
        "--server.address=127.0.0.1",
        "--server.allowedHosts=localhost",
        "--browser.gatherUsageStats=false",
        "--client.showErrorDetails=none",
        "--server.headless=true",
        "--server.port=8501",
    ):
        assert flag in command
    assert "--server.headless=false" in launch.command(8501, browser=True)


def test_stores_reach_the_server_whatever_they_are_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    stores = ["a b;$(x)", "s3://bucket/runs", "naïve"]
    places = launch.configured_stores(launch.environment(stores))
    assert places == (str(tmp_path / "a b;$(x)"), "s3://bucket/runs", str(tmp_path / "naïve"))


@pytest.mark.parametrize("value", ["", "{}", "[1]", '[""]', "nonsense"])
def test_a_variable_of_another_form_is_refused(value: str) -> None:
    with pytest.raises(InputError, match="JSON list"):
        launch.configured_stores({launch.STORES_VARIABLE: value})


@pytest.mark.parametrize("stores", ["nonsense", '["nowhere"]', "[]"])
def test_what_is_wrong_with_a_store_is_left_to_the_page(monkeypatch: pytest.MonkeyPatch, stores: str) -> None:
    monkeypatch.setenv(launch.STORES_VARIABLE, stores)
    prepare()


def test_without_the_variable_there_are_no_stores() -> None:
    assert launch.configured_stores({}) == ()


def test_a_port_that_is_taken_is_passed_over() -> None:
    with socket.socket() as taken:
        taken.bind((launch.ADDRESS, 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert port < launch.free_port(port) <= port + launch.PORTS_TRIED


@pytest.mark.parametrize("port", [0, -1, 70_000])
def test_a_number_that_is_no_port_is_refused(port: int) -> None:
    with pytest.raises(InputError, match="1 to 65535"):
        launch.free_port(port)


def test_the_environment_has_nothing_but_text() -> None:
    variables = launch.environment(["x"])
    assert json.loads(variables[launch.STORES_VARIABLE]) == [os.path.abspath("x")]
    assert all(isinstance(value, str) for value in variables.values())
