"""Downloads from servers on 127.0.0.1 that behave, and from some that do not."""

import json
import threading
import time

import numpy as np
import pytest
from http_server import send, serving

from lnn.core.errors import DataError
from lnn.datasets.download import fetch

BODY = np.random.default_rng(0).bytes(300_000)


@pytest.fixture
def server():
    with serving() as served:
        yield served


def whole(handler, **headers):
    send(handler, BODY, **headers)


def cut(handler, at=100_000, **headers):
    """Promise everything, send the first bytes, hang up."""
    handler.start(200, Content_Length=len(BODY), **headers)
    handler.wfile.write(BODY[:at])


def ranged(handler, etag='"v1"'):
    """Serve ranges as RFC 9110 says: of this version only, else everything."""
    wanted = handler.headers.get("Range")
    if wanted is None or handler.headers.get("If-Range") != etag:
        return whole(handler, ETag=etag)
    first = int(wanted.removeprefix("bytes=").removesuffix("-"))
    span = f"bytes {first}-{len(BODY) - 1}/{len(BODY)}"
    handler.start(206, Content_Range=span, Content_Length=len(BODY) - first, ETag=etag)
    handler.wfile.write(BODY[first:])
    return None


def get(server, folder, **options):
    target = folder / "gas.zip"
    fetch(server.url, target, **{"timeout": 5.0, "attempts": 3, "pause": 0.0, **options})
    assert sorted(path.name for path in folder.iterdir()) == ["gas.zip"]
    return target.read_bytes()


def test_whole_file_with_progress(server, tmp_path):
    server.replies = [whole]
    steps = []
    assert get(server, tmp_path, progress=lambda done, total: steps.append((done, total))) == BODY
    assert steps[0] == (0, len(BODY))
    assert steps[-1] == (len(BODY), len(BODY))
    assert [done for done, _ in steps] == sorted(done for done, _ in steps)


def test_length_unknown(server, tmp_path):
    def untold(handler):
        handler.start(200)
        handler.wfile.write(BODY)

    server.replies = [untold]
    totals = set()
    assert get(server, tmp_path, progress=lambda _, total: totals.add(total)) == BODY
    assert totals == {None}


def test_resumes_after_a_dropped_connection(server, tmp_path):
    server.replies = [lambda h: cut(h, ETag='"v1"'), ranged]
    assert get(server, tmp_path) == BODY
    assert server.seen[1]["Range"] == "bytes=100000-"
    assert server.seen[1]["If-Range"] == '"v1"'


def test_resumes_by_date_in_a_later_call(server, tmp_path):
    date = "Mon, 01 Jan 2024 00:00:00 GMT"
    server.replies = [lambda h: cut(h, Last_Modified=date)]
    with pytest.raises(DataError, match=r"ended after 100000 of 300000 bytes \(1 tries\)"):
        get(server, tmp_path, attempts=1)
    assert not (tmp_path / "gas.zip").exists()
    server.replies = [lambda h: ranged(h, etag=date)]
    assert get(server, tmp_path) == BODY
    assert server.seen[-1]["Range"] == "bytes=100000-"


def test_chunked_reply_cut_off_is_tried_again(server, tmp_path):
    def chunked(handler):
        handler.protocol_version = "HTTP/1.1"
        handler.start(200, Transfer_Encoding="chunked", ETag='"v1"')
        handler.wfile.write(b"186a0\r\n" + BODY[:50_000])
        handler.close_connection = True

    server.replies = [chunked, ranged]
    assert get(server, tmp_path) == BODY


@pytest.mark.parametrize(
    "headers", [{"ETag": '"v1"'}, {"ETag": 'W/"v1"'}, {}], ids=["strong", "weak", "none"]
)
def test_restarts_where_the_server_ignores_ranges_or_names_no_version(server, tmp_path, headers):
    server.replies = [lambda h: cut(h, **headers), whole]
    assert get(server, tmp_path) == BODY
    assert ("Range" in server.seen[1]) == (headers == {"ETag": '"v1"'})


def test_restarts_when_the_file_changed(server, tmp_path):
    server.replies = [lambda h: cut(h, ETag='"v0"'), ranged]
    assert get(server, tmp_path) == BODY


def test_restarts_after_416(server, tmp_path):
    server.replies = [lambda h: cut(h, ETag='"v1"'), lambda h: h.start(416), ranged]
    assert get(server, tmp_path) == BODY
    assert "Range" not in server.seen[2]


def test_a_wrong_range_is_not_appended(server, tmp_path):
    def wrong(handler):
        handler.start(206, Content_Range=f"bytes 7-9/{len(BODY)}", Content_Length=3)
        handler.wfile.write(BODY[7:10])

    server.replies = [lambda h: cut(h, ETag='"v1"'), wrong, ranged]
    assert get(server, tmp_path) == BODY


@pytest.mark.parametrize("number", ["\u00b2", "-1", "9" * 5000])
def test_numbers_that_a_server_makes_up(server, tmp_path, number):
    def odd(handler):
        handler.start(206, Content_Range=f"bytes {number}-9/{number}", ETag='"v1"')

    def odd_length(handler):
        handler.start(200, Content_Length=number)
        handler.wfile.write(BODY)

    server.replies = [lambda h: cut(h, ETag='"v1"'), odd, odd_length]
    assert get(server, tmp_path) == BODY


def test_a_part_of_another_address_or_a_spoilt_note_is_not_continued(server, tmp_path):
    notes = ['{"url": "http://elsewhere/", "validator": "\\"v1\\""}', "[]", "{", "[" * 100_000]
    for validator in (1, '"v\n1"', '"\u20ac"'):
        notes.append(json.dumps({"url": server.url, "validator": validator}))
    for note in notes:
        (tmp_path / "gas.zip.part").write_bytes(b"other")
        (tmp_path / "gas.zip.part.json").write_text(note)
        server.replies = [ranged]
        assert get(server, tmp_path) == BODY
        assert "Range" not in server.seen[-1]
        (tmp_path / "gas.zip").unlink()


def test_not_found_fails_at_once(server, tmp_path):
    server.replies = [lambda h: h.start(404)]
    with pytest.raises(DataError, match="the server answered 404 Not Found; check the address"):
        get(server, tmp_path)
    assert len(server.seen) == 1
    assert not list(tmp_path.iterdir())


def test_server_error_is_tried_again(server, tmp_path):
    server.replies = [lambda h: h.start(500), whole]
    assert get(server, tmp_path) == BODY
    server.replies = [lambda h: h.start(503)]
    (tmp_path / "gas.zip").unlink()
    with pytest.raises(DataError, match=r"answered 503 Service Unavailable \(3 tries\); check the"):
        get(server, tmp_path)


def test_a_stalling_server_runs_into_the_time_out(server, tmp_path):
    release = threading.Event()

    def stall(handler):
        handler.start(200, Content_Length=len(BODY))
        handler.wfile.write(BODY[:10])
        handler.wfile.flush()
        release.wait(10)

    server.replies = [stall]
    begin = time.monotonic()
    with pytest.raises(DataError, match=r"nothing arrived for 0.2 s \(2 tries\)"):
        get(server, tmp_path, timeout=0.2, attempts=2)
    release.set()
    assert time.monotonic() - begin < 5


def test_no_server(server, tmp_path):
    server.server_close()
    with pytest.raises(DataError, match=r"refused.*check the network and run again"):
        get(server, tmp_path)


@pytest.mark.parametrize("told", [True, False])
def test_size_limit(server, tmp_path, told):
    def untold(handler):
        handler.start(200)
        handler.wfile.write(BODY)

    server.replies = [whole if told else untold]
    with pytest.raises(DataError, match="larger than 200000 bytes"):
        get(server, tmp_path, limit=200_000)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "url",
    ["file:///etc/passwd", "ftp://host/file", "gas.zip", "http://", "http:///x", "http://[::1/",
     "http://host:port/", "http://h\u00f4te/", "http://host/a b", "http://host/\r\nX: y"],
)  # fmt: skip
def test_only_http(url, tmp_path):
    with pytest.raises(ValueError, match="give an http:// or https:// address"):
        fetch(url, tmp_path / "x")


def test_an_interrupted_download_stays_resumable(server, tmp_path):
    def stop(done, total):
        if done > 100_000:
            raise KeyboardInterrupt

    server.replies = [ranged]
    with pytest.raises(KeyboardInterrupt):
        get(server, tmp_path, progress=stop)
    assert not (tmp_path / "gas.zip").exists()
    assert get(server, tmp_path) == BODY
    assert "Range" in server.seen[-1]
