"""A translation page on the loopback interface, as deep-translator expects it, that can misbehave in every known way.

Plain HTTP for tests in this process; with `tls`, also a proxy (CONNECT) that answers for translate.google.com with a
certificate made on the spot, so that an unmodified program needs only HTTPS_PROXY and REQUESTS_CA_BUNDLE.
"""

import html
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

HOST = "translate.google.com"
PAGE = (
    '<!DOCTYPE html><html lang="en" dir="ltr"><head><meta charset="utf-8"><title>Google Translate</title></head><body>'
    '<div class="header"><a href="/">Google Translate</a></div><form action="/m"><input type="text" name="q"></form>'
    '<div class="result-container">{}</div><div class="links-container"><ul><li><a href="/">About</a></li></ul></div>'
    "</body></html>"
)
CAPTCHA = (
    "<!DOCTYPE html><html><body><form id='captcha-form'>Our systems have detected unusual traffic</form></body></html>"
)


def said(text: str, target: str = "de") -> str:
    """The server's translation of one line: as long as the line but for a few letters, and never the line itself."""
    return f"{target} {text[::-1]}"


def as_newlines(lines: list[str]) -> str:
    return "\n".join(html.escape(line) for line in lines)


def as_breaks(lines: list[str]) -> str:
    return "<br>".join(html.escape(line) for line in lines)


def as_spans(lines: list[str]) -> str:
    """Lines in elements of their own, which the library glues."""
    return "".join(f"<span>{html.escape(line)}</span>" for line in lines)


@dataclass
class Service:
    """What the server does, and what it saw."""

    translate: Callable[[list[str], str], list[str]] = lambda lines, target: [said(line, target) for line in lines]
    layout: Callable[[list[str]], str] = as_newlines
    # Of a request (its number from 0, and its text): "429", "500", "captcha", "cut", "reset", or None.
    fault: Callable[[int, str], str | None] = lambda number, text: None
    origin: str = "en"  # the only source language that is served
    retry_after: str | None = None
    delay_s: Callable[[int], float] = lambda number: 0.0
    content_type: str = "text/html; charset=UTF-8"
    texts: list[str] = field(default_factory=list)  # of all requests
    answered: list[str] = field(default_factory=list)  # of those that got a whole page
    times: list[float] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    url: str = ""
    port: int = 0

    def note(self, text: str) -> int:
        """The number of this request."""
        with self.lock:
            self.texts.append(text)
            self.times.append(time.monotonic())
            return len(self.texts) - 1


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    service: Service
    tls: ssl.SSLContext | None = None
    timeout = 20  # seconds, so that no test hangs

    def do_CONNECT(self) -> None:
        assert self.tls is not None, "this server is no proxy"
        assert self.path == f"{HOST}:443", f"the program asked for {self.path}"
        self.send_response(200)
        self.end_headers()
        self.connection = self.tls.wrap_socket(self.connection, server_side=True)
        self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb", 0)
        self.close_connection = False

    def do_GET(self) -> None:
        service, query = self.service, parse_qs(urlsplit(self.path).query, keep_blank_values=True)
        (text,), (target,) = query["q"], query["tl"]
        assert query["sl"] == [service.origin], query
        number = service.note(text)
        time.sleep(service.delay_s(number))
        match service.fault(number, text):
            case None:
                page = PAGE.format(service.layout(service.translate(text.split("\n"), target)))
                self.reply(200, page)
                with service.lock:
                    service.answered.append(text)
            case "captcha":
                self.reply(200, CAPTCHA)
            case "cut":  # fewer bytes than promised
                self.reply(200, PAGE, missing=100)
            case "reset":
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()
            case status:
                self.reply(int(status), "<html>error</html>")

    def reply(self, status: int, page: str, missing: int = 0) -> None:
        content = page.encode()
        self.send_response(status)
        self.send_header("Content-Type", self.service.content_type)
        self.send_header("Content-Length", str(len(content)))
        if status == 429 and self.service.retry_after is not None:
            self.send_header("Retry-After", self.service.retry_after)
        self.end_headers()
        self.wfile.write(content[: len(content) - missing])

    def log_message(self, *args: object) -> None:
        """Nothing: the requests stand in the service."""

    def finish(self) -> None:
        try:
            super().finish()
        except (OSError, ValueError):  # the client went away, or the connection was reset on purpose
            pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: object, client_address: object) -> None:
        """Quiet: clients are killed in these tests."""


@contextmanager
def serving(service: Service, tls: Path | None = None) -> Iterator[Service]:
    """Serve until the block ends; `tls` is a folder for the certificate `ca.pem`."""
    context = None
    if tls is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*make_certificate(tls))
    server = Server(("127.0.0.1", 0), type("Bound", (Handler,), {"service": service, "tls": context}))
    service.port = server.server_address[1]
    service.url = f"http://127.0.0.1:{service.port}/m"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield service
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for the service's name that signs itself, and its key."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    paths = folder / "ca.pem", folder / "key.pem"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return paths
