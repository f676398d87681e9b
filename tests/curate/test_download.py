import fcntl
import hashlib
import os
import socket
import subprocess
import sys
import textwrap

import pytest

from groundup.core.errors import DownloadError
from groundup.curate.download import Patience, cache_directory, download, fetch_json

QUICK = Patience(attempts=3, wait_seconds=0.001, timeout_seconds=5)
BODY = os.urandom(3_000_000)
SHA256 = hashlib.sha256(BODY).hexdigest()


@pytest.fixture
def target(tmp_path):
    return tmp_path / "cache" / "file.bin"


def get(server, target, **options):
    download(f"{server.url}/file.bin", target, patience=QUICK, **options)


def test_a_file_arrives_whole_and_nothing_else_is_left(server, target):
    server.files["/file.bin"] = BODY
    seen = []
    get(server, target, size=len(BODY), sha256=SHA256, received=seen.append)
    assert target.read_bytes() == BODY
    assert [path.name for path in target.parent.iterdir()] == ["file.bin"]
    assert seen[0] == 0
    assert seen == sorted(seen)
    assert seen[-1] == len(BODY)


def test_a_file_that_is_there_is_not_downloaded_again(server, target):
    server.files["/file.bin"] = BODY
    get(server, target)
    get(server, target)
    assert len(server.requests) == 1


def test_broken_connections_are_resumed_where_they_broke(server, target):
    server.files["/file.bin"] = BODY
    server.cuts = [1_000_000, 500_000, 700_000, 1, 2]  # each brings something, so none counts
    get(server, target, sha256=SHA256)
    assert target.read_bytes() == BODY
    starts = [0, 1_000_000, 1_500_000, 2_200_000, 2_200_001, 2_200_003]
    assert server.ranges == [None, *(f"bytes={start}-" for start in starts[1:])]


def test_a_killed_download_is_resumed_by_the_next_process(server, target):
    server.files["/file.bin"] = BODY
    server.cuts = [2_000_000]
    program = """
        import os, sys
        from pathlib import Path
        from groundup.curate.download import download

        def received(size):
            if size >= 1_500_000:
                os.kill(os.getpid(), 9)

        download(sys.argv[1], Path(sys.argv[2]), received=received)
    """
    arguments = [f"{server.url}/file.bin", str(target)]
    killed = subprocess.run([sys.executable, "-c", textwrap.dedent(program), *arguments])
    assert killed.returncode == -9
    assert not target.exists()
    get(server, target, sha256=SHA256)
    assert target.read_bytes() == BODY
    assert server.ranges[-1] is not None


def test_a_process_killed_before_the_rename_left_a_whole_file(server, target):
    server.files["/file.bin"] = BODY
    target.parent.mkdir()
    (target.parent / "file.bin.partial").write_bytes(BODY)
    (target.parent / "file.bin.validator.partial").write_text(server.tag("/file.bin"))
    get(server, target, sha256=SHA256)
    assert target.read_bytes() == BODY
    assert len(server.requests) == 1


@pytest.mark.parametrize("heeds_if_range", [True, False])
def test_a_file_that_changed_meanwhile_is_not_spliced(server, target, heeds_if_range):
    server.files["/file.bin"] = BODY
    server.heeds_if_range = heeds_if_range
    server.cuts = [1_000_000]
    with pytest.raises(DownloadError):
        download(f"{server.url}/file.bin", target, patience=Patience(attempts=1))
    server.files["/file.bin"] = changed = os.urandom(2_000_000)
    get(server, target)
    assert target.read_bytes() == changed


def test_without_a_version_to_compare_the_download_starts_over(server, target):
    server.files["/file.bin"] = BODY
    server.tags = False
    server.cuts = [1_000_000]
    get(server, target, sha256=SHA256)
    assert target.read_bytes() == BODY
    assert server.ranges == [None, None]


def test_a_server_that_is_busy_for_a_while_is_asked_again(server, target):
    server.files["/file.bin"] = BODY
    server.statuses = [503, 429]
    get(server, target)
    assert target.read_bytes() == BODY


def test_a_server_that_stays_busy_is_given_up(server, target):
    server.files["/file.bin"] = BODY
    server.statuses = [503] * 3
    with pytest.raises(DownloadError, match=r"failed 3 times in a row \(answered 503\)"):
        get(server, target)


def test_a_file_that_does_not_exist_is_named(server, target):
    with pytest.raises(DownloadError, match=r"/file.bin does not exist \(answer 404\)"):
        get(server, target)
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [401, 403])
def test_a_file_that_is_not_public_is_named(server, target, status):
    server.statuses = [status]
    with pytest.raises(DownloadError, match="is not public"):
        get(server, target)


@pytest.mark.parametrize(
    ("expected", "problem"),
    [({"sha256": "0" * 64}, "does not match its checksum"), ({"size": 5}, "not the 5 that were")],
)
def test_a_file_that_is_not_the_announced_one_is_removed(server, target, expected, problem):
    server.files["/file.bin"] = BODY
    with pytest.raises(DownloadError, match=problem):
        get(server, target, **expected)
    assert list(target.parent.iterdir()) == []


def test_without_a_network_one_sentence_says_so_at_once(target):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound and not listening: connections are refused
        port = unused.getsockname()[1]
        with pytest.raises(DownloadError, match=rf"cannot reach 127.0.0.1:{port}: .*local files"):
            download(f"http://127.0.0.1:{port}/x", target, patience=Patience(wait_seconds=60))


def test_a_server_that_says_nothing_is_given_up_after_the_timeout(target):
    silent = Patience(attempts=2, wait_seconds=0.001, timeout_seconds=0.05)
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        port = listening.getsockname()[1]
        with pytest.raises(DownloadError, match="failed 2 times in a row"):
            download(f"http://127.0.0.1:{port}/x", target, patience=silent)


@pytest.mark.parametrize("url", ["ftp://example.org/x", "http://[/x"])
def test_what_is_no_url_is_named(url, target):
    with pytest.raises(DownloadError, match="is no URL"):
        download(url, target, patience=QUICK)


def test_two_processes_do_not_write_one_file(server, target):
    server.files["/file.bin"] = BODY
    target.parent.mkdir()
    with open(target.parent / "file.bin.partial", "ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(DownloadError, match="another process is downloading file.bin"):
            get(server, target)


def test_json_is_parsed_and_anything_else_is_named(server):
    server.files |= {"/good": b'{"a": [1]}', "/bad": b"<html>"}
    server.statuses = [500]
    assert fetch_json(f"{server.url}/good", QUICK) == {"a": [1]}
    with pytest.raises(DownloadError, match="not JSON"):
        fetch_json(f"{server.url}/bad", QUICK)


def test_the_cache_follows_the_xdg_convention(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_directory() == tmp_path / "groundup"
    monkeypatch.setenv("HOME", str(tmp_path))
    for unset in ("", "relative/path"):  # the specification: relative paths are to be ignored
        monkeypatch.setenv("XDG_CACHE_HOME", unset)
        assert cache_directory() == tmp_path / ".cache" / "groundup"
