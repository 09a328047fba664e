"""Downloads against a loopback server: resumed, checked, renamed last."""

import gzip
import hashlib
import threading
import tracemalloc
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from clseave.corpora.downloads import CHUNK, LARGEST, fetch, locate
from clseave.foundation.errors import UserError
from clseave.foundation.files.hashing import of_file
from clseave.foundation.settings.schema import Download

CONTENT = np.random.default_rng(0).integers(0, 256, 300_000, dtype=np.uint8).tobytes()
OTHER = CONTENT[::-1]
CUT = 6 * CHUNK
SHA = hashlib.sha256(CONTENT).hexdigest()
QUICK = {"timeout": 2.0, "pause": 0.01}


class Server(ThreadingHTTPServer):
    """Serves `content`; `script` says what is wrong with the next answers, `seen` keeps the requests' headers."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.content, self.script, self.seen = CONTENT, [], []
        self.etag, self.modified, self.ranges, self.encoding = '"one"', None, True, None

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/files/corpus.zip"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.server.seen.append(dict(self.headers))
        step = self.server.script.pop(0) if self.server.script else None
        self.close_connection = True
        if isinstance(step, tuple):  # (status, headers)
            self.send_response(step[0])
            for name, value in step[1].items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        whole, start = self.server.content, 0
        wanted = self.headers.get("Range", "")
        if wanted and self.server.ranges and self.headers.get("If-Range") in (self.server.etag, self.server.modified):
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
            if start >= len(whole):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(whole)}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(whole) - 1}/{len(whole)}")
        for name, value in (
            ("ETag", self.server.etag),
            ("Last-Modified", self.server.modified),
            ("Content-Encoding", self.server.encoding),
        ):
            if value:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(whole) - start))
        self.end_headers()
        if isinstance(step, float):  # silence
            threading.Event().wait(step)
        self.wfile.write(whole[start : start + step] if isinstance(step, int) else whole[start:])


@contextmanager
def serving():
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


@pytest.fixture
def server():
    with serving() as running:
        yield running


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_fetched_once_and_leaves_nothing_else(server, tmp_path):
    path = tmp_path / "kept" / "corpus.zip"
    for _ in range(2):
        assert fetch(server.url, path, SHA, **QUICK) == path
    assert path.read_bytes() == CONTENT and names(path.parent) == ["corpus.zip"] and len(server.seen) == 1
    assert server.seen[0]["Accept-Encoding"] == "identity"


def test_a_cut_connection_is_taken_up_where_it_ended(server, tmp_path):
    server.script = [CUT, 3 * CHUNK]
    fetch(server.url, tmp_path / "f", SHA, **QUICK)
    assert (tmp_path / "f").read_bytes() == CONTENT and names(tmp_path) == ["f"]
    assert [seen.get("Range") for seen in server.seen] == [None, f"bytes={CUT}-", f"bytes={CUT + 3 * CHUNK}-"]
    assert server.seen[1]["If-Range"] == '"one"'


def test_many_cuts_that_each_bring_something_do_not_end_it(server, tmp_path):
    server.script = [CHUNK] * 9
    fetch(server.url, tmp_path / "f", SHA, **QUICK)
    assert (tmp_path / "f").read_bytes() == CONTENT and len(server.seen) == 10


def test_a_later_run_goes_on_where_an_earlier_one_gave_up(server, tmp_path):
    server.script = [CUT] + [(503, {})] * 5
    with pytest.raises(
        UserError, match=r"cannot fetch http.*503 Service Unavailable.*place the file by hand as .*f and"
    ):
        fetch(server.url, tmp_path / "f", SHA, **QUICK)
    assert (tmp_path / "f.part").stat().st_size == CUT and not (tmp_path / "f").exists()
    fetch(server.url, tmp_path / "f", SHA, **QUICK)
    assert server.seen[-1]["Range"] == f"bytes={CUT}-" and (tmp_path / "f").read_bytes() == CONTENT


def test_a_file_that_changed_meanwhile_is_fetched_anew(server, tmp_path):
    server.script = [CUT] + [(503, {})] * 5
    with pytest.raises(UserError):
        fetch(server.url, tmp_path / "f", None, **QUICK)
    server.content, server.etag = OTHER, '"two"'
    fetch(server.url, tmp_path / "f", None, **QUICK)
    assert (tmp_path / "f").read_bytes() == OTHER


def test_the_date_serves_where_there_is_no_strong_etag(server, tmp_path):
    server.etag, server.modified = 'W/"weak"', "Wed, 21 Oct 2015 07:28:00 GMT"
    server.script = [CUT]
    fetch(server.url, tmp_path / "f", SHA, **QUICK)
    assert server.seen[1]["If-Range"] == "Wed, 21 Oct 2015 07:28:00 GMT" and (tmp_path / "f").read_bytes() == CONTENT


@pytest.mark.parametrize("ranges", [True, False])
def test_without_range_or_anything_to_tell_versions_apart_it_starts_again(server, tmp_path, ranges):
    server.ranges = ranges
    if ranges:
        server.etag = None
    server.script = [CUT]
    fetch(server.url, tmp_path / "f", SHA, **QUICK)
    assert (tmp_path / "f").read_bytes() == CONTENT
    assert ("Range" in server.seen[1]) is not ranges


def test_killed_between_the_last_byte_and_the_new_name(server, tmp_path):
    server.script = [CUT] + [(500, {})] * 5
    with pytest.raises(UserError):
        fetch(server.url, tmp_path / "f", SHA, **QUICK)
    (tmp_path / "f.part").write_bytes(CONTENT)
    fetch(server.url, tmp_path / "f", SHA, **QUICK)
    assert (tmp_path / "f").read_bytes() == CONTENT and server.seen[-1]["Range"] == "bytes=300000-"


def test_a_wrong_checksum_names_both_and_keeps_nothing(server, tmp_path):
    server.content = OTHER
    found = hashlib.sha256(OTHER).hexdigest()
    with pytest.raises(UserError, match=f"sha256 is {found}, expected {SHA}.*place the right file by hand"):
        fetch(server.url, tmp_path / "f", SHA, **QUICK)
    assert names(tmp_path) == []


def test_without_a_cited_checksum_the_first_one_holds(server, tmp_path):
    fetch(server.url, tmp_path / "f", None, **QUICK)
    assert (tmp_path / "f.sha256").read_text() == f"{SHA}  f\n"
    (tmp_path / "f").write_bytes(OTHER)
    with pytest.raises(UserError, match=f"f: sha256 is .*, expected {SHA}: delete it, and f.sha256"):
        fetch(server.url, tmp_path / "f", None, **QUICK)
    (tmp_path / "f").unlink()
    server.content, server.etag = OTHER, '"two"'
    with pytest.raises(UserError, match=f"expected {SHA}"):
        fetch(server.url, tmp_path / "f", None, **QUICK)


def test_a_missing_page_is_not_tried_again(server, tmp_path):
    server.script = [(404, {})]
    with pytest.raises(UserError, match=r"corpus\.zip answered 404 Not Found: place the file by hand as .*source/f"):
        fetch(server.url, tmp_path / "f", SHA, **QUICK, by_hand=tmp_path / "source" / "f")
    assert len(server.seen) == 1 and names(tmp_path) == []


def test_busy_answers_and_silence_are_tried_again(server, tmp_path):
    server.script = [(429, {"Retry-After": "0"}), (502, {}), 3.0]
    fetch(server.url, tmp_path / "f", SHA, timeout=1.0, pause=0.01)
    assert (tmp_path / "f").read_bytes() == CONTENT and len(server.seen) == 4


def test_a_compressed_transfer_is_never_resumed(server, tmp_path):
    server.content, server.encoding = gzip.compress(CONTENT, mtime=0), "gzip"
    server.script = [CUT]
    fetch(server.url, tmp_path / "f", SHA, **QUICK)
    assert (tmp_path / "f").read_bytes() == CONTENT and "Range" not in server.seen[1]


LIMIT = "look whether the address is right; if it is, place the file by hand as "


def test_a_file_beyond_the_limit_is_refused_before_a_byte_of_it_is_written(server, tmp_path):
    with pytest.raises(UserError, match=rf"corpus\.zip sends 300,000 bytes, allowed: 299,999: {LIMIT}.*source/f"):
        fetch(server.url, tmp_path / "f", SHA, **QUICK, largest=299_999, by_hand=tmp_path / "source" / "f")
    assert names(tmp_path) == [] and len(server.seen) == 1
    fetch(server.url, tmp_path / "f", SHA, **QUICK, largest=300_000)
    assert (tmp_path / "f").read_bytes() == CONTENT


def test_an_end_beyond_the_limit_is_refused_too(server, tmp_path):
    server.script = [CUT] + [(503, {})] * 5
    with pytest.raises(UserError, match="503"):
        fetch(server.url, tmp_path / "f", SHA, **QUICK)
    with pytest.raises(UserError, match="sends 300,000 bytes, allowed: 200,000"):
        fetch(server.url, tmp_path / "f", SHA, **QUICK, largest=200_000)
    assert server.seen[-1]["Range"] == f"bytes={CUT}-" and names(tmp_path) == []


def test_what_unpacks_beyond_the_limit_ends_there(server, tmp_path):
    """The length that is told is that of the packed transfer: 1,000 times less."""
    server.content, server.encoding = gzip.compress(bytes(20_000_000), mtime=0), "gzip"
    assert len(server.content) < 100_000
    tracemalloc.start()
    try:
        with pytest.raises(UserError, match=rf"sends more than the 100,000 bytes allowed: {LIMIT}"):
            fetch(server.url, tmp_path / "f", SHA, **QUICK, largest=100_000)
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()
    assert names(tmp_path) == [] and len(server.seen) == 1


def test_the_limit_leaves_room_for_the_largest_file_of_the_profiles():
    assert 20 * 94_550_081 < LARGEST  # snli_1.0.zip


def test_offline_it_says_what_to_place_where(tmp_path):
    with serving() as server:
        url = server.url
    with pytest.raises(UserError, match=rf"cannot fetch {url} \(.*refused.*\): place the file by hand as .*f and run"):
        fetch(url, tmp_path / "f", SHA, **QUICK)


def test_a_placed_file_is_taken_and_checked(tmp_path):
    source, downloads = tmp_path / "source", tmp_path / "downloads"
    source.mkdir()
    (source / "f.lst").write_bytes(CONTENT)
    assert locate(Download(file="f.lst", url=None, sha256=SHA), source, downloads) == source / "f.lst"
    assert locate(Download(file="f.lst", url="http://x", sha256=None), source, downloads) == source / "f.lst"
    with pytest.raises(UserError, match=rf"source/f\.lst: sha256 is {SHA}, expected {'0' * 64}: replace the file"):
        locate(Download(file="f.lst", url=None, sha256="0" * 64), source, downloads)


def test_an_unpacked_folder_serves_for_a_zip(tmp_path):
    (tmp_path / "snli_1.0").mkdir()
    for name in ("snli_1.0.zip", "snli_1.0"):
        found = locate(Download(file=name, url="http://x", sha256=SHA), tmp_path, tmp_path / "downloads")
        assert found == tmp_path / "snli_1.0"


def test_what_is_not_placed_is_fetched(server, tmp_path):
    download = Download(file="corpus.zip", url=server.url, sha256=SHA)
    path = locate(download, tmp_path / "source", tmp_path / "downloads")
    assert path == tmp_path / "downloads" / "corpus.zip" and of_file(path) == SHA
    assert not (tmp_path / "source").exists()


def test_what_has_no_address_must_be_placed(tmp_path):
    with pytest.raises(UserError, match=r"source/f\.lst does not exist and has no url: place the file"):
        locate(Download(file="f.lst", url=None, sha256=None), tmp_path / "source", tmp_path)
