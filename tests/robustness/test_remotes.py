"""`make push` and `make pull` with a folder, an HTTP server and S3: what is shared arrives, and what fails says why."""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from object_server import BUCKET, Account, closed_port, http, s3
from small_pipeline import configure, copy, make
from test_infrastructure import reproduce, run

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("remotes")]

KINDS = ("folder", "http", "s3")
S3 = [pytest.param(kind, marks=() if kind == "s3" else pytest.mark.full) for kind in KINDS]  # the others in full
# Each fault on one kind of share in each push, every pair of them in full.
FAULTS = {"corrupt": (b"thesiz", "s3"), "empty": (b"", "folder"), "missing": (None, "http")}
PAIRS = [
    pytest.param(content, kind, id=f"{fault}-{kind}", marks=() if kind == chosen else pytest.mark.full)
    for fault, (content, chosen) in FAULTS.items()
    for kind in KINDS
]
UP_TO_DATE = "Data and pipelines are up to date."
MADE = "out/thesis/first/a.txt"  # holds "thesis"
NAME = hashlib.md5(b"thesis").hexdigest()
OBJECT = f"files/md5/{NAME[:2]}/{NAME[2:]}"
USER, PASSWORD = "one", "a-password-for-tests"


@dataclass
class Share:
    """A place for objects: DVC's settings of it, those of its credentials, and its objects for a test to harm."""

    kind: str
    folder: Path  # of the objects, but for S3
    settings: dict[str, str]
    credentials: dict[str, str] = field(default_factory=dict)
    account: Account | None = None

    def change(self, content: bytes | None) -> None:
        """Give the object of `MADE` other bytes, or remove it."""
        if self.account is not None:
            client, where = self.account.client(), {"Bucket": BUCKET, "Key": f"shared/{OBJECT}"}
            client.delete_object(**where) if content is None else client.put_object(**where, Body=content)
            return
        path = self.folder / OBJECT
        path.unlink(missing_ok=True)
        if content is not None:
            path.write_bytes(content)
            path.chmod(0o444)  # as DVC leaves it; a file that may be written it would hash by itself


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    with s3(tmp_path_factory.mktemp("s3") / "log.txt") as one:
        yield one


@pytest.fixture
def share(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Share]:
    """An empty share of the kind that the test's parameter names."""
    folder = tmp_path / "share"
    folder.mkdir()
    if request.param == "folder":
        yield Share("folder", folder, {"url": str(folder)})
    elif request.param == "http":
        with http(folder, USER, PASSWORD) as address:
            settings = {"url": address, "auth": "basic", "method": "PUT"}
            yield Share("http", folder, settings, {"user": USER, "password": PASSWORD})
    else:
        account = request.getfixturevalue("account")
        client = account.client()
        for one in client.list_objects_v2(Bucket=BUCKET).get("Contents", []):
            client.delete_object(Bucket=BUCKET, Key=one["Key"])
        settings = {"url": f"s3://{BUCKET}/shared", "endpointurl": account.address}
        keys = {"access_key_id": account.key, "secret_access_key": account.secret}
        yield Share("s3", folder, settings, keys, account)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, repo_root: Path) -> Path:
    """A small pipeline on profile `thesis`, whose remote is the user's own."""
    return make(tmp_path_factory.mktemp("small"), repo_root, "thesis")


@pytest.fixture
def made(finished: Path, tmp_path: Path) -> Path:
    return copy(finished, tmp_path)


@pytest.fixture
def clone(made: Path, tmp_path: Path, share: Share) -> Path:
    """A fresh clone that knows the share, and its credentials."""
    run(tmp_path, "git", "clone", "--quiet", str(made), "clone")
    configure(tmp_path / "clone", "thesis", share.settings | share.credentials)
    return tmp_path / "clone"


@pytest.fixture
def pushed(made: Path, repo_root: Path, share: Share) -> Path:
    """The toy with everything in the share."""
    configure(made, "thesis", share.settings | share.credentials)
    assert "6 files pushed" in remote(made, repo_root, "push")
    return made


def remote(root: Path, repo_root: Path, *command: str, code: int = 0, env: dict[str, str] | None = None) -> str:
    """What `make push` and `make pull` run, with no credentials of the person who runs the tests."""
    empty = root.parent / "empty"
    empty.touch()
    environment = {key: value for key, value in os.environ.items() if not key.startswith("AWS_")} | {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": str(empty),
        "AWS_SHARED_CREDENTIALS_FILE": str(empty),
        "NO_PROXY": "127.0.0.1",
    }
    done = subprocess.run(
        [sys.executable, str(repo_root / "tools/remote.py"), *command],
        cwd=root,
        env=environment | (env or {}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    output = done.stdout + done.stderr
    assert done.returncode == code, output
    assert "Traceback" not in output
    return output


def last(output: str) -> str:
    return output.splitlines()[-1]


def contents(root: Path) -> dict[str, str]:
    """Every file that is an output."""
    return {str(path.relative_to(root)): path.read_text() for path in root.glob("out/**/*") if path.is_file()}


def assert_sound(root: Path, repo_root: Path) -> None:
    """Nothing is missing, nothing runs, nothing is changed."""
    assert run(root, sys.executable, "-m", "dvc", "status").strip() == UP_TO_DATE
    assert "0 of 5 stages" in reproduce(root, repo_root)
    assert not (root / "times.txt").exists(), "a stage ran"
    assert run(root, "git", "status", "--porcelain") == ""
    output = run(root, sys.executable, str(repo_root / "tools/verify.py"), "--network")
    assert output == "verify: sound (5 outputs, 6 objects in the cache, 6 in remote thesis)\n"


@pytest.mark.parametrize("share", S3, indirect=True)
def test_a_fresh_clone_has_all_after_a_pull(pushed: Path, clone: Path, repo_root: Path) -> None:
    remote(clone, repo_root, "pull")
    assert contents(clone) == contents(pushed) and contents(clone)[MADE] == "thesis"
    assert_sound(clone, repo_root)
    assert "Everything is up to date." in remote(clone, repo_root, "push")


@pytest.mark.parametrize(("content", "share"), PAIRS, indirect=["share"])
def test_a_bad_object_is_told_and_does_not_arrive(
    pushed: Path, clone: Path, share: Share, repo_root: Path, content: bytes | None
) -> None:
    share.change(content)
    output = remote(clone, repo_root, "pull", code=1)
    assert last(output).startswith("pull: remote thesis (") and "lacks objects, or holds damaged ones" in last(output)
    assert NAME in output or MADE in output or "out/thesis/first" in output, "which one"
    whole = contents(pushed)
    assert {name: whole[name] for name in contents(clone)} == contents(clone), "what arrived is sound"
    if content is not None:
        assert set(whole) - set(contents(clone)) <= {MADE, "out/thesis/first/b.txt"}, "and the others are there"
    assert run(clone, "git", "status", "--porcelain") == ""
    if content == b"thesiz":  # fixed as the line says, from where the object was made, all arrives
        share.change(b"thesis")
        remote(clone, repo_root, "pull")
        assert_sound(clone, repo_root)


@pytest.mark.parametrize("share", S3, indirect=True)
def test_a_bad_object_leaves_finished_work_alone(pushed: Path, share: Share, repo_root: Path) -> None:
    """The outputs are here, the cache is not: a pull that fails must not take them away."""
    before = contents(pushed)
    shutil.rmtree(pushed / ".dvc/cache")
    share.change(b"thesiz")
    output = remote(pushed, repo_root, "pull", code=1)
    assert "ERROR: missing: out/thesis/first\n" in output and "holds damaged ones" in last(output)
    assert contents(pushed) == before


@pytest.mark.parametrize("share", S3, indirect=True)
def test_verify_reads_the_share_too(pushed: Path, share: Share, repo_root: Path) -> None:
    share.change(b"thesiz")
    program = str(repo_root / "tools/verify.py")
    if share.kind != "folder":
        assert "is on the network: --network reads it too" in run(pushed, sys.executable, program)
    output = run(pushed, sys.executable, program, "--network", code=1)
    assert f"{NAME[2:]}: damaged" in output
    share.change(None)
    output = run(pushed, sys.executable, program, "--network", code=1)
    assert f"{NAME[2:]}: missing" in output and "fix: " in output


def wrong(share: Share) -> dict[str, str]:
    """Credentials of nobody."""
    return {key: f"{value}x" for key, value in share.credentials.items()}


@pytest.mark.parametrize(
    ("action", "share"),
    [
        *(("pull", "http"), ("push", "s3")),
        *(pytest.param(*row, marks=pytest.mark.full) for row in (("pull", "s3"), ("push", "http"))),
    ],
    indirect=["share"],
)
def test_wrong_credentials_are_told(pushed: Path, share: Share, repo_root: Path, action: str) -> None:
    before = contents(pushed)
    if action == "pull":
        shutil.rmtree(pushed / ".dvc/cache")
    else:
        shutil.rmtree(pushed / ".dvc/tmp")
        share.change(None)
    configure(pushed, "thesis", share.settings | wrong(share))
    output = remote(pushed, repo_root, action, code=1)
    assert last(output).startswith(f"{action}: remote thesis (") and "refused, for want of the right" in last(output)
    assert "dvc remote modify --local thesis access_key_id" in last(output)
    assert not [value for value in wrong(share).values() if value in output], "what must stay secret is printed"
    assert contents(pushed) == before and run(pushed, "git", "status", "--porcelain") == ""


@pytest.mark.parametrize("share", ["s3"], indirect=True)
def test_credentials_may_come_from_the_environment(pushed: Path, tmp_path: Path, share: Share, repo_root: Path) -> None:
    run(tmp_path, "git", "clone", "--quiet", str(pushed), "bare")
    configure(tmp_path / "bare", "thesis", share.settings)
    output = remote(tmp_path / "bare", repo_root, "pull", code=1)
    assert "refused, for want of the right credentials" in last(output), "without any"
    assert share.account is not None
    keys = {"AWS_ACCESS_KEY_ID": share.account.key, "AWS_SECRET_ACCESS_KEY": share.account.secret}
    remote(tmp_path / "bare", repo_root, "pull", env=keys)
    assert contents(tmp_path / "bare") == contents(pushed)


@pytest.mark.parametrize("action", ["pull", "push"])
@pytest.mark.parametrize("kind", ["http", "s3", "no such host"])
def test_a_server_that_does_not_answer_is_told_at_once(made: Path, repo_root: Path, kind: str, action: str) -> None:
    before = contents(made)
    address = f"http://127.0.0.1:{closed_port()}" if kind != "no such host" else "http://no-such-host.invalid"
    configure(made, "thesis", {"url": "s3://store/x", "endpointurl": address} if kind == "s3" else {"url": address})
    output = remote(made, repo_root, action, code=1)
    assert output.startswith(f"{action}: remote thesis (") and output.count("\n") == 1
    assert "does not answer at http://" in output and "check the address, the network and the server" in output
    assert contents(made) == before


def test_a_server_that_only_gives_takes_no_push(made: Path, repo_root: Path, tmp_path: Path) -> None:
    (tmp_path / "share").mkdir()
    with http(tmp_path / "share", uploads=False) as address:
        configure(made, "thesis", {"url": address, "method": "PUT"})
        output = remote(made, repo_root, "push", code=1)
    assert "takes no uploads" in last(output)


@pytest.mark.parametrize("share", ["s3"], indirect=True)
def test_a_bucket_that_is_not_there_is_told(made: Path, share: Share, repo_root: Path) -> None:
    configure(made, "thesis", share.settings | share.credentials | {"url": "s3://nosuch/x"})
    assert "has no such bucket" in last(remote(made, repo_root, "push", code=1))


def test_a_folder_that_may_not_be_written_is_told(made: Path, repo_root: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a file where the folder should be")
    configure(made, "thesis", {"url": str(tmp_path / "file")})
    output = remote(made, repo_root, "push", code=1)
    assert last(output).startswith("push: remote thesis (")


def test_a_profile_without_a_remote_is_told(made: Path, repo_root: Path) -> None:
    (made / "params.yaml").write_text("profile: nosuch\nseed: 1\n")
    output = remote(made, repo_root, "pull", code=2)
    assert output.startswith("pull: no remote can be read: ") and output.count("\n") == 1


def test_no_credentials_are_in_git(repo_root: Path) -> None:
    """Nor in the settings that git holds: they belong in .dvc/config.local, which it ignores, or in the environment."""
    secret = ("user", "pass", "access_key", "secret", "token", "sas", "connection_string", "credential", "keyfile")
    config = (repo_root / ".dvc/config").read_text()
    keys = [line.partition("=")[0].strip() for line in config.splitlines() if "=" in line]
    assert keys and not [key for key in keys if any(word in key for word in secret)]
    assert not [line for line in config.splitlines() if "@" in line], "an address with a password"
    assert run(repo_root, "git", "check-ignore", ".dvc/config.local").strip() == ".dvc/config.local"
    tracked = run(repo_root, "git", "ls-files", "-z").split("\0")
    assert not [name for name in tracked if Path(name).name in ("config.local", ".env", ".netrc")]
    pattern = "AKIA[0-9A-Z]{16}|secret_access_key *= *[A-Za-z0-9/+]{40}|BEGIN [A-Z ]*PRIVATE KEY|hf_[A-Za-z]{34}"
    found = subprocess.run(
        ["git", "grep", "--cached", "-lE", pattern, "--", ".", ":!tests/robustness/test_remotes.py"],
        cwd=repo_root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (found.returncode, found.stdout) == (1, ""), found.stdout + found.stderr


def test_one_output_is_taken_from_a_clone_and_from_a_url_with_the_clones_store(tmp_path: Path, repo_root: Path) -> None:
    """The commands of docs/DVC.md; fails once DVC finds a relative remote from a URL: shorten docs/DVC.md then."""
    root = make(tmp_path / "small", repo_root, "mini")
    run(root, sys.executable, str(repo_root / "tools/publish.py"))
    run(root, "git", "add", "--all", "--force", "store")
    run(root, "git", "commit", "--quiet", "--message=store")
    url = f"file://{root}"
    run(tmp_path, "git", "clone", "--quiet", "--depth", "1", url, "clone")
    dvc, made = (sys.executable, "-m", "dvc", "get"), "out/mini/first"
    assert "/store/files/md5" in run(tmp_path, *dvc, url, made, "-o", "none", code=255)
    run(tmp_path, *dvc, "clone", made)
    run(tmp_path, *dvc, url, made, "-o", "again", "--remote-config", f"url={tmp_path}/clone/store")
    code = f"import dvc.api; print(dvc.api.read('{made}/a.txt', repo='clone'))"
    assert run(tmp_path, sys.executable, "-c", code).strip() == "mini"
    for folder in ("first", "again"):
        assert sorted(path.name for path in (tmp_path / folder).iterdir()) == ["a.txt", "b.txt"]
