"""A Hugging Face hub on the loopback: the part of its protocol that huggingface_hub uses, with faults on demand.

Uploads go the way of Git LFS: set HF_HUB_DISABLE_XET.
"""

import base64
import hashlib
import json
import re
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlparse

REVISION = "0123456789abcdef0123456789abcdef01234567"
LARGE = (".safetensors", ".bin")  # kept apart, as the real hub keeps them: a redirect leads there


class Hub(ThreadingHTTPServer):
    """`models` are folders by id, all of them at `REVISION`; `requests` counts what was asked."""

    daemon_threads = True

    def __init__(self, models: dict[str, Path]):
        super().__init__(("127.0.0.1", 0), Handler)
        self.models, self.requests = models, Counter()
        self.ranges: list[str] = []
        self.gated: set[str] = set()
        self.cuts: list[int] = []  # so many bytes of a large file, then the connection closes; one entry a request
        self.short = False  # every large file ends early, with a length to match
        self.status: int | None = None  # the answer to everything
        self.writable: Path | None = None  # where uploaded models are kept
        self.closed = False  # to writing, for the login at hand
        self.private: set[str] = set()
        self.uploads: dict[str, bytes] = {}  # large files by their SHA-256, before they are committed

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def large(self, digest: str) -> bytes:
        """A large file by its SHA-256."""
        for folder in self.models.values():
            for path in folder.rglob("*"):
                if path.suffix in LARGE and hashlib.sha256(path.read_bytes()).hexdigest() == digest:
                    return path.read_bytes()
        raise KeyError(digest)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Hub

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = urlparse(self.path).path
        self.server.requests[f"{self.command} {path}"] += 1
        if self.server.status:
            return self.answer(self.server.status)
        if match := re.fullmatch(r"/api/models/([^/]+/[^/]+)(/revision/main)?", path):
            if self.known(match[1], REVISION):
                private = match[1] in self.server.private
                self.json({"id": match[1], "sha": REVISION, "siblings": [], "private": private})
            return None
        if match := re.fullmatch(r"/api/models/(.+?)/tree/([^/]+)", path):
            return self.tree(*match.groups())
        if match := re.fullmatch(r"/(.+?)/resolve/([^/]+)/(.+)", path):
            return self.resolve(*match.groups())
        if match := re.fullmatch(r"/large/(\w+)", path):
            return self.body(self.server.large(match[1]))
        return self.answer(404)

    def do_POST(self) -> None:
        path = urlparse(self.path).path
        self.server.requests[f"POST {path}"] += 1
        content = self.rfile.read(int(self.headers["Content-Length"]))
        if path == "/api/validate-yaml":
            self.json({"errors": [], "warnings": []})
        elif self.server.writable is None or self.server.closed:
            self.answer(401, X_Error_Message="Invalid username or password.")
        elif path == "/api/repos/create":
            self.create(**json.loads(content))
        elif re.fullmatch(r"/api/models/(.+?)/preupload/main", path):
            files = [one["path"] for one in json.loads(content)["files"]]
            modes = {True: "lfs", False: "regular"}
            rows = [{"path": one, "uploadMode": modes[one.endswith(LARGE)], "shouldIgnore": False} for one in files]
            self.json({"files": rows})
        elif path.endswith(".git/info/lfs/objects/batch"):
            objects = json.loads(content)["objects"]
            for one in objects:
                one["actions"] = {"upload": {"href": f"{self.server.url}/upload/{one['oid']}"}}
            self.json({"transfer": "basic", "objects": objects})
        elif match := re.fullmatch(r"/api/models/(.+?)/commit/main", path):
            self.commit(match[1], [json.loads(line) for line in content.splitlines()])
        else:
            self.answer(404)

    def create(self, organization: str, name: str, visibility: str = "public", **_: object) -> None:
        name = f"{organization}/{name}"
        known = name in self.server.models
        if not known and visibility == "private":
            self.server.private.add(name)
        self.server.models[name] = self.server.writable / name
        self.server.models[name].mkdir(parents=True, exist_ok=True)
        self.json({"url": f"{self.server.url}/{name}"}, 409 if known else 200)

    def do_PUT(self) -> None:
        digest = self.path.rpartition("/")[2]
        self.server.uploads[digest] = self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(200)

    def commit(self, name: str, operations: list[dict]) -> None:
        folder = self.server.models[name]
        for one in operations:
            value = one["value"]
            if one["key"] == "deletedFile":
                (folder / value["path"]).unlink()
            elif one["key"] in ("file", "lfsFile"):
                (folder / value["path"]).parent.mkdir(parents=True, exist_ok=True)
                lfs = one["key"] == "lfsFile"
                content = self.server.uploads[value["oid"]] if lfs else base64.b64decode(value["content"])
                (folder / value["path"]).write_bytes(content)
        self.json({"success": True, "commitOid": REVISION, "commitUrl": f"{self.server.url}/{name}/commit/{REVISION}"})

    def json(self, content: object, status: int = 200) -> None:
        self.answer(status, json.dumps(content).encode(), Content_Type="application/json")

    def answer(self, status: int, content: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def known(self, name: str, revision: str) -> Path | None:
        """The model's folder, or None after the hub's answer for what is not to be had."""
        if name in self.server.gated:
            self.answer(403, X_Error_Code="GatedRepo", X_Error_Message=f"Access to model {name} is restricted")
        elif name not in self.server.models:
            self.answer(401, X_Error_Code="RepoNotFound", X_Error_Message="Repository not found")
        elif revision not in (REVISION, "main" if self.server.writable else REVISION):
            self.answer(404, X_Error_Code="RevisionNotFound", X_Error_Message=f"Invalid rev id: {revision}")
        else:
            return self.server.models[name]
        return None

    def tree(self, name: str, revision: str) -> None:
        if folder := self.known(name, revision):
            rows = []
            for path in sorted(path for path in folder.rglob("*") if path.is_file()):
                content = path.read_bytes()
                row = {
                    "type": "file",
                    "path": path.relative_to(folder).as_posix(),
                    "size": len(content),
                    "oid": hashlib.sha1(content).hexdigest(),
                }
                if path.suffix in LARGE:
                    row["lfs"] = {"oid": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 134}
                rows.append(row)
            self.json(rows)

    def resolve(self, name: str, revision: str, file: str) -> None:
        if not (folder := self.known(name, revision)):
            return
        if not (folder / file).is_file():
            return self.answer(404, X_Error_Code="EntryNotFound", X_Error_Message="Entry not found")
        content = (folder / file).read_bytes()
        if (folder / file).suffix in LARGE:
            digest = hashlib.sha256(content).hexdigest()
            self.answer(
                302,
                Location=f"http://localhost:{self.server.server_port}/large/{digest}",  # another host
                X_Repo_Commit=REVISION,
                X_Linked_Size=str(len(content)),
                X_Linked_ETag=f'"{digest}"',
            )
        else:
            self.answer(200, content, X_Repo_Commit=REVISION, ETag=f'"{hashlib.sha1(content).hexdigest()}"')

    def body(self, content: bytes) -> None:
        start, total = 0, len(content)
        if asked := self.headers.get("Range"):
            self.server.ranges.append(asked)
            start = int(re.fullmatch(r"bytes=(\d+)-", asked)[1])
        content = content[start : total // 2] if self.server.short else content[start:]
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command == "HEAD":
            return
        if self.server.cuts:
            content = content[: self.server.cuts.pop(0)]
            self.close_connection = True
        self.wfile.write(content)


@contextmanager
def serve(models: dict[str, Path]) -> Iterator[Hub]:
    """Serve for the block."""
    with Hub(models) as hub:
        thread = threading.Thread(target=hub.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield hub
        finally:
            hub.shutdown()
            thread.join(10)
