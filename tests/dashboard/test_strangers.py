"""What a real public server does with the requests of those who have not signed in."""

from __future__ import annotations

import base64
import http.client
import json
import random
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.cookies import SimpleCookie
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from ncore_dashboard.access.login import read
from ncore_dashboard.app import launch

sys.path.insert(0, str(Path(__file__).parents[1] / "browser"))
from provider import CLIENT, SECRET, Provider, provider

pytest.importorskip("authlib")
PATIENCE = 120.0  # seconds; a machine can be busy
COOKIE_SECRET = "0123456789abcdef" * 4
# In the server's process: writes down every address that is asked for or connected to.
LISTENER = """
import os, sys
def note(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname"):
        with open(os.environ["ASKED"], "a") as file:
            print(event, arguments[1:] if event == "socket.connect" else arguments[:2], file=file)
sys.addaudithook(note)
"""
random_ = random.Random(7)
HOSTS = ["evil.org", "127.0.0.1.evil.org", "localhost.evil.org", "[::1]", "1.2.3.4", "xn--80ak6aa92e.com"]
ORIGINS = [f"{scheme}://{host}{port}" for host in HOSTS for scheme, port in (("https", ""), ("http", ":8501"))]
ORIGINS += ["null", "", "file://", "https://", "http://[", "http://user@127.0.0.1.evil.org", "x" * 1000]


@dataclass
class Served:
    """A public server, its provider, and what it asked for."""

    port: int
    issuer: Provider
    asked: Path
    log: Path

    def get(
        self, path: str, cookies: dict[str, str] | None = None, method: str = "GET", **headers: str
    ) -> tuple[int, dict[str, str], str, dict[str, str]]:
        """Status, headers, body and cookies of an answer."""
        connection = http.client.HTTPConnection(launch.ADDRESS, self.port, timeout=PATIENCE)
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        if cookies:
            given["Cookie"] = "; ".join(f"{name}={value}" for name, value in cookies.items())
        connection.request(method, path, headers=given, body=b"x" * 100 if method in ("PUT", "POST") else None)
        answer = connection.getresponse()
        body = "" if answer.status == 101 else answer.read().decode(errors="replace")
        jar: SimpleCookie = SimpleCookie()
        for value in answer.headers.get_all("Set-Cookie") or []:
            jar.load(value)
        connection.close()
        found = {name.lower(): value for name, value in answer.headers.items()}
        return answer.status, found, body, {name: morsel.value for name, morsel in jar.items()}

    def connect(self, origin: str | None) -> int:
        """Status of the answer to a page of this origin that wants to talk to the app."""
        headers = {
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec_WebSocket_Key": base64.b64encode(b"0123456789abcdef").decode(),
            "Sec_WebSocket_Version": "13",
        }
        return self.get("/_stcore/stream", **headers, **({} if origin is None else {"Origin": origin}))[0]

    def asked_for(self) -> list[str]:
        return self.asked.read_text().splitlines() if self.asked.exists() else []


@pytest.fixture(scope="module")
def served(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("public")
    (folder / "sitecustomize.py").write_text(LISTENER)
    port = launch.free_port(8900)
    with provider() as issuer:
        settings = {
            "redirect_uri": f"http://127.0.0.1:{port}/oauth2callback",
            "cookie_secret": COOKIE_SECRET,
            "client_id": CLIENT,
            "client_secret": SECRET,
            "server_metadata_url": f"{issuer.address}/.well-known/openid-configuration",
        }
        secrets = folder / "secrets.toml"
        lines = [f"{name} = {json.dumps(value)}" for name, value in settings.items()]
        secrets.write_text("\n".join(["[auth]", *lines, "[ncore]", 'allow = ["@example.org"]']))
        door = read(secrets)
        variables = launch.environment([str(store)], door)
        variables |= {
            "PYTHONPATH": f"{folder}{launch.os.pathsep}{variables['PYTHONPATH']}",
            "ASKED": str(folder / "asked"),
        }
        with (folder / "log").open("wb") as log:
            server = subprocess.Popen(
                launch.command(port, False, door, secrets),
                env=variables, stdin=subprocess.PIPE, stdout=log, stderr=log, cwd=folder,
            )  # fmt: skip
        found = Served(port, issuer, folder / "asked", folder / "log")
        try:
            end = time.monotonic() + PATIENCE
            while True:
                try:
                    if found.get("/_stcore/health")[0] == 200:
                        break
                except OSError:
                    assert time.monotonic() < end, found.log.read_text()
                    assert server.poll() is None, found.log.read_text()
                    time.sleep(0.1)
            yield found
        finally:
            server.kill()
            server.communicate()


def jwt_of(payload: dict[str, object], secret: str) -> str:
    from joserfc import jwt
    from joserfc.jwk import OctKey

    return jwt.encode({"alg": "HS256"}, payload, OctKey.import_key(secret))


def token_of(provider_name: str = "default", secret: str = COOKIE_SECRET, age: int = 0) -> str:
    """What the app gives to a browser whose button to sign in was pressed."""
    return jwt_of({"provider": provider_name, "exp": int(time.time()) + 120 - age}, secret)


@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE", "OPTIONS", "GET"])
def test_files_are_not_taken(served: Served, method: str) -> None:
    for path in ("/_stcore/upload_file/session/file", "/_stcore/upload_file/", "/x/_stcore/upload_file/a/b"):
        status, _, body, _ = served.get(path, {"_streamlit_xsrf": "x"}, method, X_Xsrftoken="x")
        assert (status, body) == (403, "This dashboard takes no files.")


@pytest.mark.parametrize(
    "path",
    ["/", "/ranking?x=1", "/_stcore/health", "/_stcore/host-config", "/media/nothing", "/auth/login", "/auth/logout",
     "/oauth2callback", "/_stcore/upload_file/a/b", "/component/nothing/index.html", "/static/nothing.js"],
)  # fmt: skip
def test_nothing_is_framed_by_other_sites(served: Served, path: str) -> None:
    _, headers, _, _ = served.get(path)
    assert headers["x-frame-options"] == "SAMEORIGIN"
    assert headers["content-security-policy"] == "frame-ancestors 'self'"


def test_pages_of_other_sites_are_not_connected_and_nobody_is_asked_about_them(served: Served) -> None:
    for origin in ORIGINS:
        assert served.connect(origin) == 403, origin
    for origin in (None, f"http://127.0.0.1:{served.port}", "https://127.0.0.1", "http://localhost:1"):
        assert served.connect(origin) == 101, origin
    assert served.asked_for() == []


def strange_requests() -> list[tuple[str, dict[str, str]]]:
    """Requests of somebody who was not given a state, nor a token, nor a cookie."""
    junk = ["", "x", "default", "../..", "http://evil.org/", "%00", "_state_default_x", "a" * 500]
    junk += ["".join(random_.choices("abc_.-%=&:/", k=random_.randint(1, 30))) for _ in range(10)]
    session = base64.b64encode(json.dumps({"_state_default_x": {"data": {"nonce": "n"}, "exp": 9e9}}).encode()).decode()
    user = base64.b64encode(json.dumps({"email": "ana@example.org", "provider": "default"}).encode()).decode()
    forged = {"_streamlit_session": f"{session}.x.y", "_streamlit_user": user, "_streamlit_user_tokens": user}
    found = []
    for text in junk:
        for cookies in ({}, forged):
            query = urlencode({"code": text, "state": "x" if cookies else text})
            found += [(f"/oauth2callback?{query}", cookies), (f"/auth/logout?{urlencode({'x': text})}", cookies)]
            found += [(f"/auth/login?{urlencode({'provider': text})}", cookies)]
            found += [(f"/oauth2callback?{urlencode({'error': text, 'state': 'x'})}", cookies)]
    tokens = [
        token_of(secret="f" * 64),
        token_of(age=3600),
        token_of() + "x",
        jwt_of({"provider": "default"}, "x" * 64),
    ]
    return found + [(f"/auth/login?{urlencode({'provider': token})}", {}) for token in tokens]


def test_a_stranger_makes_the_server_ask_nobody(served: Served) -> None:
    before = len(served.issuer.seen)
    for path, cookies in strange_requests():
        status, headers, _, given = served.get(path, cookies)
        assert status == 302, path
        assert headers["location"] == "/", path
        assert not any(value.strip('"') for name, value in given.items() if name.startswith("_streamlit_user")), path
    assert served.issuer.seen[before:] == []
    assert served.asked_for() == []


def test_the_provider_is_asked_only_once_the_state_is_verified(served: Served) -> None:
    status, headers, _, mine = served.get(f"/auth/login?{urlencode({'provider': token_of()})}")
    assert status == 302
    assert headers["location"].startswith(f"{served.issuer.address}/authorize?")
    state = parse_qs(urlsplit(headers["location"]).query)["state"][0]

    connection = http.client.HTTPConnection(*served.issuer.server_address[:2])
    connection.request("GET", headers["location"].removeprefix(served.issuer.address))
    page = connection.getresponse().read().decode()
    connection.close()
    match = re.search(r"code=(\w+)", page)
    assert match
    seen = len(served.issuer.seen)
    for code, given, cookies in (
        (match[1], state, {}),  # of another browser: somebody was sent a link to sign in as somebody else
        (match[1], "x", mine),
        (match[1], state[:-1], mine),
        (match[1], "", mine),
    ):
        status, _, _, found = served.get(f"/oauth2callback?{urlencode({'code': code, 'state': given})}", cookies)
        assert status == 302
        assert "_streamlit_user" not in found
    assert served.issuer.seen[seen:] == []

    _, _, _, found = served.get(f"/oauth2callback?{urlencode({'code': match[1], 'state': state})}", mine)
    assert found["_streamlit_user"]
    assert "/token" in served.issuer.seen[seen:]
    home = f"'{launch.ADDRESS}'"
    assert served.asked_for()  # it was listened to
    assert all(home in line for line in served.asked_for())
