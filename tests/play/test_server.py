import http.client
import json
import re
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

import gptcompare as gc
from gptcompare.play import serve, server
from gptcompare.play.guard import MOST_BYTES

GIVEN = {"prompt": "Once upon a time", "models": ["nano-gpt2", "nano-gpt3"], "options": {"max_new_tokens": 6}}
LONG = {**GIVEN, "options": {"max_new_tokens": 400, "temperature": 1.0, "seed": 1}}


@pytest.fixture
def served():
    own = serve(port=0)
    thread = threading.Thread(target=own.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield own
    own.shutdown()
    own.close()
    thread.join()


def ask(served, method="POST", path="/write", body=None, **headers):
    """(status, headers, content) of an answer; `None` for a header leaves it out."""
    content = json.dumps(GIVEN if body is None else body).encode() if not isinstance(body, bytes) else body
    given = {
        "Host": f"127.0.0.1:{served.server_port}", "Origin": served.url.rstrip("/"), "X-Page": "a",
        "Content-Type": "application/json", "Content-Length": str(len(content)), **headers,
    }  # fmt: skip
    connection = http.client.HTTPConnection("127.0.0.1", served.server_port, timeout=30)
    connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
    for name, value in given.items():
        if value is not None:
            connection.putheader(name, value)
    connection.endheaders(content if method == "POST" else None)
    answer = connection.getresponse()
    return answer.status, dict(answer.getheaders()), answer.read()


def answers(content):
    return [json.loads(line) for line in content.decode().splitlines()]


def works(served, page="a"):
    """Whether the server still writes what it should."""
    status, _, content = ask(served, **{"X-Page": page})
    texts = [side.text for side in gc.compare(GIVEN["prompt"], max_new_tokens=6).sides]
    pieces = [answer for answer in answers(content) if "side" in answer]
    return status == 200 and texts == ["".join(one["text"] for one in pieces if one["side"] == n) for n in (0, 1)]


def test_a_request_is_answered_a_line_for_each_piece_and_a_last_one_for_all(served):
    assert works(served)
    status, headers, content = ask(served)
    assert (status, headers["Content-Type"], headers["Cache-Control"]) == (200, "application/x-ndjson", "no-store")
    assert set(answers(content)[-1]) == {"comparison"}


def test_the_page_is_there_and_forbids_to_be_framed(served):
    status, headers, content = ask(served, "GET", "/")
    assert status == 200
    assert headers["X-Frame-Options"] == "DENY"
    assert content.decode().startswith("<!DOCTYPE html>")
    assert "connect-src 'self'" in content.decode()


def test_it_listens_on_this_machine_only(served):
    assert served.server_address[0] == "127.0.0.1"


@pytest.mark.parametrize(
    ("status", "change"),
    [
        (403, {"Host": "example.org"}),
        (403, {"Host": None}),
        (403, {"Origin": "http://example.org"}),
        (403, {"Origin": "null"}),
        (403, {"Origin": None}),
        (415, {"Content-Type": "text/plain"}),
        (411, {"Content-Length": None}),
        (413, {"Content-Length": str(MOST_BYTES + 1)}),
        (404, {"path": "/other"}),
        (404, {"method": "GET", "path": "/write"}),
        (501, {"method": "PUT"}),
        (400, {"body": b"{"}),
        (400, {"body": b"\xff"}),
        (400, {"body": b"[" * 5000}),
        (400, {"body": {}}),
        (400, {"body": {**GIVEN, "models": ["gpt2"]}}),
        (400, {"body": {**GIVEN, "options": {"temperature": "hot"}}}),
        (400, {"body": {**GIVEN, "prompt": "a " * 2000}}),
    ],
    ids=str,
)
def test_a_bad_request_gets_an_error_and_the_server_goes_on(served, status, change):
    got, _, content = ask(served, **change)
    assert got == status
    if status != 501:  # which the standard library answers
        [answer] = answers(content)
        assert answer["error"]
    assert ask(served, "GET", "/")[0] == 200


def test_a_body_that_ends_early_gets_an_error(served):
    with socket.create_connection(("127.0.0.1", served.server_port), timeout=30) as client:
        client.sendall(
            f"POST /write HTTP/1.1\r\nHost: 127.0.0.1:{served.server_port}\r\nOrigin: {served.url[:-1]}\r\n"
            "Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{".encode()
        )
        client.shutdown(socket.SHUT_WR)
        assert b"ended in the middle" in client.makefile("rb").read()
    assert works(served)


def test_a_client_that_says_nothing_keeps_no_one_from_being_answered(served, monkeypatch):
    monkeypatch.setattr(server._Handler, "timeout", 0.2)
    silent = [socket.create_connection(("127.0.0.1", served.server_port), timeout=30) for _ in range(5)]
    assert works(served)
    for client in silent:
        assert client.recv(1) == b""  # it was sent away
        client.close()


def begun(served, page, body=LONG):
    """A connection whose text has begun to be written."""
    content = json.dumps(body).encode()
    headers = {"Origin": served.url[:-1], "Content-Type": "application/json", "X-Page": page}
    connection = http.client.HTTPConnection("127.0.0.1", served.server_port, timeout=60)
    connection.request("POST", "/write", content, headers)
    answer = connection.getresponse()
    first = json.loads(answer.readline())
    return connection, answer, first


def test_a_page_has_one_text_in_writing(served):
    connection, answer, _ = begun(served, "a")
    status, _, content = ask(served, **{"X-Page": "a"})
    assert status == 409
    assert "already waiting" in answers(content)[0]["error"]
    assert ask(served, path="/stop")[0] == 204
    assert "comparison" in json.loads(answer.read().splitlines()[-1])
    connection.close()
    assert works(served)


def test_the_texts_of_two_pages_are_written_one_after_the_other(served):
    _, first, _ = begun(served, "a")
    _, second, waiting = begun(served, "b", GIVEN)
    assert waiting == {"waiting": True}
    ask(served, path="/stop", **{"X-Page": "a"})
    for answer in (first, second):
        assert "comparison" in json.loads(answer.read().splitlines()[-1])
        answer.close()


def test_a_text_that_is_stopped_while_its_models_are_loaded_is_not_written(served, monkeypatch):
    loading, loaded = threading.Event(), threading.Event()
    take = served.shelf.take

    def slowly(name):
        loading.set()
        assert loaded.wait(30)
        return take(name)

    monkeypatch.setattr(served.shelf, "take", slowly)
    with ThreadPoolExecutor(1) as threads:
        asked = threads.submit(ask, served, body=LONG)
        assert loading.wait(30)
        assert ask(served, path="/stop")[0] == 204
        loaded.set()
        status, _, content = asked.result()
    assert (status, answers(content)) == (200, [{"stopped": True}])
    assert works(served)


def test_a_text_that_is_stopped_while_it_waits_its_turn_is_not_written(served):
    _, first, _ = begun(served, "a")
    _, second, waiting = begun(served, "b")
    assert waiting == {"waiting": True}
    ask(served, path="/stop", **{"X-Page": "b"})
    assert json.loads(second.read().splitlines()[-1]) == {"stopped": True}
    ask(served, path="/stop", **{"X-Page": "a"})
    assert "comparison" in json.loads(first.read().splitlines()[-1])


def test_a_folder_whose_name_is_not_utf8_is_offered_and_asked_for_by_the_same_name(served):
    folder = "model-\udcff"  # as Python hands over the byte 0xff
    served.shelf.names.append(folder)
    status, _, content = ask(served, "GET", "/")
    assert status == 200
    settings = re.search(r'id="settings">(.*?)</script>', content.decode(), re.DOTALL)[1]
    assert folder in json.loads(settings)["models"]


def test_a_page_that_has_gone_ends_its_text(served):
    connection, answer, _ = begun(served, "a")
    answer.close()
    connection.close()
    assert works(served, "b")  # when it is its turn
    assert "a" not in served._stops


def test_an_error_while_writing_is_the_last_line(served, monkeypatch):
    def failing(request, stop):
        yield {"side": 0, "text": "a"}
        raise ValueError("a damaged parameter makes the logits infinite")

    monkeypatch.setattr(server, "lines", failing)
    _, _, content = ask(served)
    assert answers(content) == [{"side": 0, "text": "a"}, {"error": "a damaged parameter makes the logits infinite"}]
    monkeypatch.undo()
    assert works(served)


def test_closing_ends_what_is_being_written():
    own = serve(port=0)
    thread = threading.Thread(target=own.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    _, answer, _ = begun(own, "a")
    own.shutdown()
    own.close()
    thread.join()
    assert "comparison" in json.loads(answer.read().splitlines()[-1])
    answer.close()
    end = time.monotonic() + 10
    while own._stops and time.monotonic() < end:
        time.sleep(0.01)
    assert own._stops == {}


def test_a_port_that_is_taken_is_an_error(served):
    with pytest.raises(OSError, match="in use"):
        serve(port=served.server_port)
