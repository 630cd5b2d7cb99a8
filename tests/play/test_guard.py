import pytest

from gptcompare.play.guard import MOST_BYTES, RefusalError, check_body, check_sender

OWN = "http://127.0.0.1:8765"


@pytest.mark.parametrize("host", ["127.0.0.1:8765", "localhost:8765"])
@pytest.mark.parametrize("origin", [None, OWN, "http://localhost:8765"])
def test_the_own_page_is_answered(host, origin):
    check_sender(host, origin, 8765)


@pytest.mark.parametrize(
    "host", [None, "", "127.0.0.1", "127.0.0.1:80", "example.org:8765", "localhost.example.org:8765", "[::1]:8765"]
)
def test_another_host_is_refused(host):
    with pytest.raises(RefusalError, match="answers to no other name") as refused:
        check_sender(host, None, 8765)
    assert refused.value.status == 403


@pytest.mark.parametrize(
    "origin",
    ["null", "", "http://example.org", "https://127.0.0.1:8765", "http://127.0.0.1", "http://127.0.0.1:8765.org"],
)
def test_another_origin_is_refused(origin):
    with pytest.raises(RefusalError, match="only its own page") as refused:
        check_sender("localhost:8765", origin, 8765)
    assert refused.value.status == 403


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.0.0.1:80", "localhost:80"])
def test_the_port_of_http_may_be_left_out(host):
    check_sender(host, None, 80)
    check_sender(host, f"http://{host}", 80)
    with pytest.raises(RefusalError, match="only its own page"):
        check_sender(host, "http://example.org", 80)


def test_a_body_of_the_own_page_has_a_length():
    assert check_body(OWN, "application/json", "17") == 17
    assert check_body(OWN, "application/json; charset=utf-8", str(MOST_BYTES)) == MOST_BYTES


@pytest.mark.parametrize(
    ("origin", "kind", "length", "status"),
    [
        (None, "application/json", "17", 403),
        (OWN, "text/plain", "17", 415),
        (OWN, None, "17", 415),
        (OWN, "application/json", None, 411),
        (OWN, "application/json", "-1", 411),
        (OWN, "application/json", "1e3", 411),
        (OWN, "application/json", "٣", 411),
        (OWN, "application/json", str(MOST_BYTES + 1), 413),
        (OWN, "application/json", "9" * 5000, 413),
    ],
)
def test_another_body_is_refused_with_the_reason(origin, kind, length, status):
    with pytest.raises(RefusalError) as refused:
        check_body(origin, kind, length)
    assert refused.value.status == status
