"""An S3 server of this machine that answers with errors, late, or not at all, when it is told to."""

from __future__ import annotations

import json
import os
import random
import signal
import time
import urllib.request
from typing import Any, Self

FAULTS = ("s3-500", "s3-503", "s3-slow", "s3-read-only", "s3-cut")
_CONTROL = "/-faults-"


class _Faulty:
    """A WSGI application that lets a share of the requests fail, after so many that do not."""

    def __init__(self, application: Any) -> None:
        self._application = application
        self._name: str | None = None
        self._share, self._left, self._rng = 0.0, 0, random.Random(0)

    def __call__(self, environ: dict[str, Any], start: Any) -> Any:
        if environ["PATH_INFO"] == _CONTROL:
            told = json.loads(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
            self._name, self._share, self._left = told["name"], told["share"], told["after"]
            self._rng = random.Random(told["seed"])
            start("200 OK", [])
            return [b""]
        self._left -= 1
        if self._name is None or self._left >= 0 or self._rng.random() >= self._share:
            return self._application(environ, start)
        writes = environ["REQUEST_METHOD"] in ("PUT", "POST", "DELETE")
        match self._name:
            case "s3-500":
                return _refuse(start, "500 Internal Server Error", "InternalError")
            case "s3-503":
                return _refuse(start, "503 Slow Down", "SlowDown")
            case "s3-read-only" if writes:
                return _refuse(start, "403 Forbidden", "AccessDenied")
            case "s3-slow":
                time.sleep(4 if self._rng.random() < 0.02 else self._rng.uniform(0, 0.5))  # the client waits for 3
            case "s3-cut":
                answer = list(self._application(environ, start))
                return [part[: len(part) // 2] for part in answer]  # the length that was said is not kept
        return self._application(environ, start)


def _refuse(start: Any, status: str, code: str) -> list[bytes]:
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>told to</Message></Error>".encode()
    start(status, [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))])
    return [body]


def _serve(pipe: int) -> None:
    from moto.server import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import WSGIRequestHandler, make_server

    class Silent(WSGIRequestHandler):
        def log(self, *args: Any) -> None:
            """Nothing."""

    application = _Faulty(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, application, threaded=True, request_handler=Silent)
    os.write(pipe, b"%d\n" % server.server_port)
    server.serve_forever()


class Bucket:
    """``s3://bucket`` on a server in a process of its own, begun by a fork, so before any thread is."""

    def __enter__(self) -> Self:
        reader, writer = os.pipe()
        self._child = os.fork()
        if not self._child:
            try:
                os.close(reader)
                _serve(writer)
            finally:
                os._exit(1)
        os.close(writer)
        with os.fdopen(reader) as said:
            self._url = f"http://127.0.0.1:{int(said.readline())}"
        self.options: dict[str, Any] = {
            "key": "k",
            "secret": "s",
            "client_kwargs": {"endpoint_url": self._url},
            "config_kwargs": {"read_timeout": 3, "connect_timeout": 3, "retries": {"max_attempts": 1}},
            "skip_instance_cache": True,
        }
        request = urllib.request.Request(f"{self._url}/bucket", method="PUT")
        urllib.request.urlopen(request, timeout=30).close()
        return self

    def __exit__(self, *_: object) -> None:
        os.kill(self._child, signal.SIGKILL)
        os.waitpid(self._child, 0)

    def fault(self, name: str | None, share: float = 0.0, after: int = 0, seed: int = 0) -> None:
        """Let a share of all requests fail from now on, but for the next few; None: no more."""
        told = json.dumps({"name": name, "share": share, "after": after, "seed": seed}).encode()
        urllib.request.urlopen(f"{self._url}{_CONTROL}", told, timeout=30).close()
