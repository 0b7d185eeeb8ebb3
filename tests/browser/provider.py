"""An OpenID Connect provider of one user: authorization code with PKCE, as the real ones do it."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey

CLIENT, SECRET = "dashboard", "shared with the dashboard"


class Provider(ThreadingHTTPServer):
    """Signs in the user ``email``, saying (or not) that it is ``verified``; ``seen`` has the paths asked for."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.email = "ana@example.org"
        self.verified: bool | None = True
        self.key = RSAKey.generate_key(2048, {"kid": "1", "use": "sig", "alg": "RS256"})
        self.codes: dict[str, dict[str, str]] = {}
        self.seen: list[str] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def metadata(self) -> dict[str, Any]:
        return {
            "issuer": self.address,
            "authorization_endpoint": f"{self.address}/authorize",
            "token_endpoint": f"{self.address}/token",
            "jwks_uri": f"{self.address}/jwks",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "code_challenge_methods_supported": ["S256"],
        }

    def token(self, form: dict[str, str]) -> dict[str, Any] | None:
        """What a code is worth: nothing, unless it comes from the client that it was given for."""
        asked = self.codes.pop(form.get("code", ""), None)
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if asked is None or asked["code_challenge"] != challenge or asked["redirect_uri"] != form.get("redirect_uri"):
            return None
        now = int(time.time())
        claims = {"iss": self.address, "sub": "1", "aud": CLIENT, "iat": now, "exp": now + 600, "nonce": asked["nonce"]}
        claims |= {"email": self.email, "name": "<b>Ana</b>"}
        claims |= {} if self.verified is None else {"email_verified": self.verified}
        signed = jwt.encode({"alg": "RS256", "kid": "1"}, claims, self.key)
        return {"access_token": "a", "token_type": "Bearer", "expires_in": 600, "id_token": signed}


class _Handler(BaseHTTPRequestHandler):
    server: Provider

    def do_GET(self) -> None:
        path, query = urlsplit(self.path).path, urlsplit(self.path).query
        given = {name: values[0] for name, values in parse_qs(query).items()}
        self.server.seen.append(path)
        if path == "/.well-known/openid-configuration":
            self._json(self.server.metadata())
        elif path == "/jwks":
            self._json({"keys": [self.server.key.as_dict(private=False)]})
        elif path == "/authorize" and given.get("client_id") == CLIENT:
            code = secrets.token_hex(8)
            self.server.codes[code] = given
            back = f"{given['redirect_uri']}?{urlencode({'code': code, 'state': given['state']})}"
            self._answer(200, "text/html", f'<a href="{back}">Continue as {self.server.email}</a>'.encode())
        else:
            self._answer(404, "text/plain", b"")

    def do_POST(self) -> None:
        self.server.seen.append(self.path)
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        known = base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        given = {name: values[0] for name, values in parse_qs(body).items()}
        token = self.server.token(given) if self.headers["Authorization"] == f"Basic {known}" else None
        self._json(token or {"error": "invalid_grant"}, 200 if token else 400)

    def _json(self, content: dict[str, Any], code: int = 200) -> None:
        self._answer(code, "application/json", json.dumps(content).encode())

    def _answer(self, code: int, kind: str, body: bytes) -> None:
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@contextmanager
def provider() -> Iterator[Provider]:
    """A provider that answers on this machine."""
    server = Provider()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
