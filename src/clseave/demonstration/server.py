"""The page on this machine alone: its server, and the header by which a browser asks no other machine for anything."""

import logging
import socket

import gradio as gr
import uvicorn
from fastapi import FastAPI
from starlette.datastructures import MutableHeaders
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from clseave.demonstration.page import STYLE

HOST = "127.0.0.1"
# The page's own scripts and styles are inline; nothing else but what this server sends is loaded.
POLICY = "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:"
FONTS = ["system-ui", "sans-serif"]  # of the reader's machine; Gradio's own come from a font service
LARGEST = "100mb"  # of an uploaded file

log = logging.getLogger(__name__)


class Guarded:
    """Adds the header to each answer."""

    def __init__(self, app: ASGIApp):
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""

        async def with_policy(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["Content-Security-Policy"] = POLICY
            await send(message)

        await self.app(scope, receive, with_policy)


class Server(uvicorn.Server):
    """Says when it listens, and ends without a word of pages that are still open."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then log the address."""
        await super().startup(sockets)
        log.info("http://%s:%d (Ctrl-C ends it)", self.config.host, self.config.port)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End open streams, whose ends are no errors."""
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL + 1)
        await super().shutdown(sockets)


def serve(blocks: gr.Blocks, port: int) -> None:
    """Serve the page until Ctrl-C."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    theme = gr.themes.Default(font=FONTS, font_mono=["monospace"])
    gr.mount_gradio_app(
        app, blocks, path="/", server_name=HOST, footer_links=[], css=STYLE, theme=theme, show_error=True,
        ssr_mode=False, run_history=False, max_file_size=LARGEST,
    )  # fmt: skip
    guarded = TrustedHostMiddleware(Guarded(app), allowed_hosts=[HOST, "localhost"])
    Server(uvicorn.Config(guarded, HOST, port, log_level="warning", timeout_graceful_shutdown=1)).run()
