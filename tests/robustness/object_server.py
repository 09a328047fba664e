"""Servers on the loopback that hold objects for a DVC remote: plain HTTP, and S3 by moto; each ends with its block."""

import base64
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar
from urllib import request

BUCKET = "store"
EVERYTHING = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}'


@contextmanager
def http(folder: Path, user: str = "", password: str = "", *, uploads: bool = True) -> Iterator[str]:
    """The address of a server of a folder's files: GET, HEAD and, with `uploads`, PUT; for one user, or for all."""

    class Handler(BaseHTTPRequestHandler):
        expected: ClassVar = f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}" if user else None

        def answer(self, code: int, content: bytes = b"") -> None:
            self.send_response(code)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            path = folder / self.path.lstrip("/")
            if self.expected and self.headers.get("Authorization") != self.expected:
                self.answer(401)
            elif self.command == "PUT" and uploads:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(self.chunks() if self.headers.get("Transfer-Encoding") == "chunked" else body)
                self.answer(201)
            elif self.command == "PUT":
                self.answer(405)
            elif path.is_file():
                self.answer(200, path.read_bytes())
            else:
                self.answer(404)

        def chunks(self) -> bytes:
            found = b""
            while size := int(self.rfile.readline(), 16):
                found += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return found

        do_GET = do_HEAD = do_PUT = do_POST = handle_any

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@dataclass(frozen=True)
class Account:
    """An S3 server, and the one user whose requests it takes."""

    address: str
    key: str
    secret: str

    def client(self, service: str = "s3"):
        """A client of that user."""
        import boto3

        keys = {"aws_access_key_id": self.key, "aws_secret_access_key": self.secret}
        return boto3.client(service, endpoint_url=self.address, region_name="us-east-1", **keys)


@contextmanager
def s3(log: Path) -> Iterator[Account]:
    """An S3 with one empty bucket, on the loopback."""
    port = closed_port()
    address = f"http://127.0.0.1:{port}"
    with log.open("w") as output:
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
        server = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        wait_for(port, server, log)
        root = Account(address, "root", "root")
        root.client().create_bucket(Bucket=BUCKET)
        users = root.client("iam")
        users.create_user(UserName="one")
        users.put_user_policy(UserName="one", PolicyName="all", PolicyDocument=EVERYTHING)
        key = users.create_access_key(UserName="one")["AccessKey"]
        own = request.Request(f"{address}/moto-api/reset-auth", b"0", {"Content-Type": "text/plain"}, method="POST")
        request.urlopen(own, timeout=30).close()
        yield Account(address, key["AccessKeyId"], key["SecretAccessKey"])
    finally:
        server.terminate()
        server.wait(timeout=30)


def wait_for(port: int, server: subprocess.Popen, log: Path, seconds: float = 120) -> None:
    """Until the server takes calls."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and server.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.1)
    raise AssertionError(f"the server did not start:\n{log.read_text()}")


def closed_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
