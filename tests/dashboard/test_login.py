"""A public dashboard doesn't start without a login, and says what is missing."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

import pytest
from ncore_dashboard.access import login
from ncore_dashboard.app import launch
from streamlit.testing.v1 import AppTest
from typer.testing import CliRunner

from ncore import cli
from ncore.errors import InputError, MissingExtraError

GOOD = {
    "redirect_uri": "https://runs.example.org/oauth2callback",
    "cookie_secret": "s" * 32,
    "client_id": "dashboard",
    "client_secret": "secret",
    "server_metadata_url": "https://login.example.org/.well-known/openid-configuration",
}


def written(folder: Path, more: str = "", **changes: str | None) -> Path:
    """A secrets.toml with these changes; None leaves a key out."""
    file = folder / "secrets.toml"
    keys = {name: value for name, value in {**GOOD, **changes}.items() if value is not None}
    file.write_text("[auth]\n" + "".join(f'{name} = "{value}"\n' for name, value in keys.items()) + more)
    return file


def test_a_complete_configuration_is_read(tmp_path: Path) -> None:
    found = login.read(written(tmp_path, '[ncore]\nallow = ["@example.org"]\n'))
    assert found == login.Login("runs.example.org", ("",), ("@example.org",))
    assert login.required({login.VARIABLE: found.to_json()}) == found
    open_ = login.read(written(tmp_path, '[ncore]\nallow = ["@example.org"]\nunverified_emails = true\n'))
    assert login.required({login.VARIABLE: open_.to_json()}) == open_ != found


def test_several_providers_are_read(tmp_path: Path) -> None:
    of_one = {name: GOOD[name] for name in ("client_id", "client_secret", "server_metadata_url")}
    part = "\n".join(f'{name} = "{value}"' for name, value in of_one.items())
    file = written(tmp_path, f"[auth.okta]\n{part}\n[auth.google]\n{part}\n", **dict.fromkeys(of_one))
    assert login.read(file).providers == ("okta", "google")
    file.write_text(file.read_text() + '[auth.third]\nclient_id = "x"\n')
    with pytest.raises(InputError, match=r"client_secret and server_metadata_url in \[auth\.third\]"):
        login.read(file)


@pytest.mark.parametrize("key", list(GOOD))
def test_each_missing_key_is_named(tmp_path: Path, key: str) -> None:
    with pytest.raises(InputError, match=rf"lacks {key} in \[auth\]"):
        login.read(written(tmp_path, **{key: None}))
    with pytest.raises(InputError, match=rf"lacks {key} in \[auth\]"):
        login.read(written(tmp_path, **{key: " "}))


def test_all_missing_keys_are_named_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "secrets.toml").write_text("[other]\n")
    with pytest.raises(InputError) as caught:
        login.read(tmp_path / "secrets.toml")
    assert all(key in str(caught.value) for key in GOOD)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("cookie_secret", "short", "5 characters"),
        ("redirect_uri", "http://runs.example.org/oauth2callback", "https://"),
        ("redirect_uri", "https://runs.example.org/", "/oauth2callback"),
        ("redirect_uri", "nonsense", "https://"),
        ("server_metadata_url", "http://login.example.org/x", "https://"),
        ("server_metadata_url", "https://[", "https://"),
    ],
)
def test_unsafe_values_are_refused(tmp_path: Path, key: str, value: str, said: str) -> None:
    with pytest.raises(InputError, match=f"{key}.*{said}"):
        login.read(written(tmp_path, **{key: value}))


@pytest.mark.parametrize(
    "text",
    [
        "auth = 1",
        "[auth",
        *(
            f"[ncore]\nallow = {allow}"
            for allow in (
                '"@example.org"',
                '["example"]',
                "[]",
                '["@"]',
                '["a@b@c"]',
                '["@*.org"]',
                '[" @a.org"]',
                "[1]",
            )
        ),
        '[ncore]\nallowed = ["@example.org"]',  # a slip that would let in everybody
        '[ncore]\nunverified_emails = "no"',
    ],
)
def test_other_forms_are_refused(tmp_path: Path, text: str) -> None:
    file = written(tmp_path, text) if "ncore" in text else tmp_path / "secrets.toml"
    if "ncore" not in text:
        file.write_text(text)
    with pytest.raises(InputError, match=r"secrets\.toml"):
        login.read(file)


def test_plain_http_is_fine_on_this_machine(tmp_path: Path) -> None:
    assert login.read(written(tmp_path, redirect_uri="http://localhost:{port}/oauth2callback")).host == "localhost"


def test_without_the_extra_it_says_how_to_install_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"ncore\[public\]"):
        login.read(written(tmp_path))


@pytest.mark.parametrize(
    ("email", "allowed"),
    [
        ("bo@example.org", True),
        ("BO@EXAMPLE.ORG", True),
        ("ana@other.org", True),
        ("bo@straße.org", True),
        ("bo@other.org", False),
        ("bo@evil-example.org", False),
        ("bo@example.org@evil.org", False),
        ("x@evil.org@example.org", False),
        ("bo@strasse.org", False),
        ("bo@boo\u212as.org", False),  # which folds to books.org
        ("an\u00aa@other.org", False),
        ("@other.org", False),
        ("", False),
        (None, False),
        (True, False),
        (["bo@example.org"], False),
    ],
    ids=str,
)
def test_only_those_allowed_come_in_with_an_address_that_is_verified(email: object, allowed: bool) -> None:
    entries = ("@example.org", "ana@other.org", "@straße.org", "@books.org")
    strict, loose = (login.Login("h", ("",), entries, unverified_emails=unverified) for unverified in (False, True))
    assert strict.allows({"email": email, "email_verified": True}) is allowed
    for verified in (False, None, "true", "no", 1, 0):
        assert not strict.allows({"email": email, "email_verified": verified})
        assert loose.allows({"email": email, "email_verified": verified}) is allowed
    assert not strict.allows({"email": email})
    assert loose.allows({"email": email}) is allowed
    assert login.Login("h", ("",)).allows({"email": email})


@pytest.mark.parametrize("text", ["", "1", "{}", "null", '{"host": "h", "providers": 1, "allow": []}'])
def test_a_variable_of_another_form_lets_nobody_in(text: str) -> None:
    with pytest.raises(InputError, match="--public"):
        login.required({login.VARIABLE: text})


@pytest.mark.parametrize("value", ["1", login.Login("h", ("",)).to_json()])
def test_the_app_shows_nothing_without_a_login(
    app: Callable[..., AppTest], store: Path, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv(login.VARIABLE, value)
    test = app(store)
    assert not test.exception
    assert not test.dataframe
    assert not test.multiselect
    assert "resnet" not in str(test)


def test_the_server_is_open_to_others_only_then(tmp_path: Path) -> None:
    file = written(tmp_path)
    door = login.read(file)
    public = launch.command(8501, False, door, file)
    assert "--server.address=0.0.0.0" in public
    assert "--server.allowedHosts=runs.example.org" in public
    assert f"--secrets.files={file}" in public
    assert login.VARIABLE in launch.environment(["x"], door)
    assert "secret" not in launch.environment(["x"], door)[login.VARIABLE]
    assert "--server.address=127.0.0.1" in launch.command(8501, False)
    assert login.VARIABLE not in launch.environment(["x"])


def test_the_command_refuses_to_start_and_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    result = CliRunner().invoke(cli.app, ["dashboard", str(tmp_path), "--public", "--no-browser"])
    assert isinstance(result.exception, InputError)
    assert str(tmp_path / ".streamlit" / "secrets.toml") in str(result.exception)
    assert all(key in str(result.exception) for key in GOOD)


def test_the_configuration_is_looked_for_here_and_at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here, home = tmp_path / "here", tmp_path / "home"
    for folder in (here, home):
        (folder / ".streamlit").mkdir(parents=True)
    monkeypatch.chdir(here)
    monkeypatch.setenv("HOME", str(home))
    assert login.default_file() == here / ".streamlit" / "secrets.toml"
    (home / ".streamlit" / "secrets.toml").touch()
    assert login.default_file() == home / ".streamlit" / "secrets.toml"
