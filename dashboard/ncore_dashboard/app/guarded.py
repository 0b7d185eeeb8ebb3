"""The app behind its guard: what every request passes before it reaches Streamlit.

``streamlit run`` finds :data:`app` here and serves it. No page takes files, is shown in a frame of another site or is
asked for from another one, so the server needs none of what Streamlit offers for that.
"""

from __future__ import annotations

import contextlib
import threading
import webbrowser
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import streamlit as st
from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.websockets import WebSocketDisconnected
from streamlit.starlette import App

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["HEADERS", "UPLOADS", "Guard", "app", "opened"]

UPLOADS = "/_stcore/upload_file"
HEADERS = {
    "Content-Security-Policy": "frame-ancestors 'self'",  # the page Report shows its own preview in a frame
    "X-Frame-Options": "SAMEORIGIN",
}


class Guard:
    """Refuses uploads and connections from pages of other sites, and forbids other sites to frame ours.

    Streamlit itself would ask a site on the internet for this machine's address, each time that a page of another site
    tries to connect; here such a page is refused before.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        if scope["type"] == "websocket" and not _is_ours(Headers(scope=scope)):
            await send({"type": "websocket.close", "code": 1008})  # before it is accepted: an answer of 403
        elif scope["type"] == "http" and UPLOADS in scope["path"]:
            await PlainTextResponse("This dashboard takes no files.", 403)(scope, receive, with_headers)
        else:
            with contextlib.suppress(WebSocketDisconnected):  # who leaves while something is sent is no error
                await self.app(scope, receive, with_headers)


def _is_ours(headers: Headers) -> bool:
    """Whether a page of this server asks, or a program that is no browser, which names no page."""
    origin = headers.get("origin")
    if origin is None:
        return True
    try:
        asking = urlsplit(origin)
    except ValueError:
        return False
    # A proxy may pass on another host than the one that the browser sees, so the names of this server count as well.
    return asking.netloc == headers.get("host") or asking.hostname in st.get_option("server.allowedHosts")


@asynccontextmanager
async def opened(app: App) -> AsyncIterator[None]:
    """Open a browser once the server listens, where one is wanted; ``streamlit run`` opens none for such an app."""
    if not st.get_option("server.headless"):
        address = f"http://{st.get_option('browser.serverAddress')}:{st.get_option('server.port')}"
        threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()
    yield


app = App(Path(__file__).resolve().with_name("main.py"), middleware=[Middleware(Guard)], lifespan=opened)
