import errno
import hashlib
import os
import socket
import time
from email.utils import formatdate

import numpy as np
import pytest
from support.hub import (
    COMMIT,
    Repository,
    cut_after,
    drip,
    git_id,
    hang_up,
    ignore_range,
    other_bytes,
    other_length,
    redirect,
    start_elsewhere,
    status,
    without_length,
)  # fmt: skip

from gptcompare import DownloadError
from gptcompare.checkpoints.download import transfer
from gptcompare.checkpoints.download.publishers import HuggingFace, OpenAI
from gptcompare.checkpoints.download.transfer import Transfer, UnreachableError

RNG = np.random.default_rng(0)
WEIGHTS = RNG.bytes(1_000_003)
CONFIG = b'{"model_type": "gpt2"}'
ORIGIN = HuggingFace("someone/model")
LARGE, SMALL = "model.safetensors", "config.json"


@pytest.fixture
def hub(hub):
    hub.repositories["someone/model"] = Repository({LARGE: WEIGHTS, SMALL: CONFIG})
    return hub


def fetch(folder, file=LARGE, origin=ORIGIN):
    """Find and fetch a file as a newly started process would; gives its bytes."""
    with Transfer(origin) as connection:
        remote = connection.announced(origin.url(file))
        connection.fetch(remote, folder / file)
    return (folder / file).read_bytes()


def parts(folder):
    return sorted(folder.glob("*.part"))


class TestWhatIsAnnounced:
    def test_a_large_file_has_its_sha256_and_size_in_a_redirect(self, hub):
        with Transfer(ORIGIN) as connection:
            remote = connection.announced(ORIGIN.url(LARGE))
        assert remote.size == len(WEIGHTS)
        assert remote.digests == ("sha256:" + hashlib.sha256(WEIGHTS).hexdigest(),)
        assert remote.commit == COMMIT
        assert [server for server, *_ in hub.asked] == ["main"]  # the address behind it is signed for GET alone

    def test_a_small_file_has_its_git_blob_id(self, hub):
        with Transfer(ORIGIN) as connection:
            remote = connection.announced(ORIGIN.url(SMALL))
        assert (remote.size, remote.digests, remote.commit) == (len(CONFIG), (f"git:{git_id(CONFIG)}",), COMMIT)

    def test_openai_s_store_has_the_md5(self, hub):
        hub.openai["124M"] = {"hparams.json": CONFIG}
        origin = OpenAI("124M")
        with Transfer(origin) as connection:
            remote = connection.announced(origin.url("hparams.json"))
        assert remote.digests == ("md5:" + hashlib.md5(CONFIG).hexdigest(),)

    def test_a_file_that_is_not_there_is_none(self, hub):
        with Transfer(ORIGIN) as connection:
            assert connection.announced(ORIGIN.url("tokenizer.json")) is None

    @pytest.mark.parametrize("refusal", [405, 501])
    def test_a_server_that_knows_get_alone_is_asked_with_it(self, hub, refusal):
        hub.head_faults[SMALL] = [status(refusal)]
        with Transfer(ORIGIN) as connection:
            assert connection.announced(ORIGIN.url(SMALL)).size == len(CONFIG)
        hub.head_faults[LARGE] = [status(refusal)]
        with Transfer(ORIGIN) as connection:
            assert connection.announced(ORIGIN.url(LARGE)).digests == ("sha256:" + hashlib.sha256(WEIGHTS).hexdigest(),)

    def test_a_redirect_without_the_size_is_followed_to_the_file(self, hub):
        answer = {"Location": f"/someone/model/resolve/{COMMIT}/{SMALL}", "X-Linked-Etag": '"x"', "Content-Length": 0}
        hub.head_faults[SMALL] = [lambda handler, content: handler.reply(307, answer)]
        with Transfer(ORIGIN) as connection:
            remote = connection.announced(ORIGIN.url(SMALL))
        assert (remote.size, remote.digests, remote.commit) == (len(CONFIG), (f"git:{git_id(CONFIG)}",), COMMIT)

    def test_a_repository_that_has_moved_is_followed(self, hub):
        hub.moved["old/name"] = "someone/model"
        with Transfer(HuggingFace("old/name")) as connection:
            assert connection.announced(HuggingFace("old/name").url(LARGE)).commit == COMMIT

    def test_a_file_of_unknown_size_is_refused(self, hub):
        hub.head_faults[SMALL] = [lambda handler, content: handler.reply(200, {"ETag": '"x"'})]
        with Transfer(ORIGIN) as connection, pytest.raises(DownloadError, match=r"does not say how large config\.json"):
            connection.announced(ORIGIN.url(SMALL))

    def test_another_file_than_the_known_one_is_refused_before_it_is_fetched(self, hub):
        known = "sha256:" + hashlib.sha256(b"the published one").hexdigest()
        with Transfer(ORIGIN) as connection, pytest.raises(DownloadError, match="do not use it"):
            connection.announced(ORIGIN.url(LARGE), known)

    def test_a_known_digest_is_checked_beside_the_server_s(self, hub, tmp_path):
        known = "sha256:" + hashlib.sha256(b"the published one").hexdigest()
        with Transfer(ORIGIN) as connection:
            remote = connection.announced(ORIGIN.url(SMALL), known)
            with pytest.raises(DownloadError, match=f"its digest is sha256:.* not {known}"):
                connection.fetch(remote, tmp_path / SMALL)
        assert list(tmp_path.iterdir()) == []


class TestRefusals:
    @pytest.mark.parametrize(
        ("origin", "repository", "words"),
        [
            (HuggingFace("no/such"), None, "there is no repository no/such, or it is private: .* set HF_TOKEN"),
            (HuggingFace("a/private"), Repository({SMALL: CONFIG}, token="t"), "or it is private"),
            (
                HuggingFace("a/gated"),
                Repository({SMALL: CONFIG}, token="t", gated=True),
                r"ask for access at 127\.0\.0\.1:\d+/a/gated, then set HF_TOKEN",
            ),
            (HuggingFace("someone/model", "v9"), None, "has no revision 'v9'"),
        ],
        ids=["unknown", "private", "gated", "revision"],
    )
    def test_a_refusal_says_what_to_do(self, hub, origin, repository, words):
        if repository:
            hub.repositories[origin.name] = repository
        with Transfer(origin) as connection, pytest.raises(DownloadError, match=words):
            connection.announced(origin.url(SMALL))

    def test_no_connection_is_told_at_once(self, monkeypatch):
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{unused.getsockname()[1]}")
            monkeypatch.setattr(time, "sleep", lambda _: pytest.fail("waited"))
            with Transfer(ORIGIN) as connection, pytest.raises(UnreachableError, match=r"cannot reach 127\.0\.0\.1"):
                connection.announced(ORIGIN.url(SMALL))

    def test_no_name_server_is_no_network(self, monkeypatch):
        monkeypatch.setenv("HF_ENDPOINT", "http://no-such-host.invalid")
        with Transfer(ORIGIN) as connection, pytest.raises(UnreachableError, match="no network"):
            connection.announced(ORIGIN.url(SMALL))

    @pytest.mark.parametrize(
        "endpoint", ["nonsense", "ftp://127.0.0.1", "http://", "http://[", "http://127.0.0.1:x", "huggingface.co"]
    )
    def test_an_endpoint_that_is_no_address_is_refused(self, monkeypatch, endpoint):
        monkeypatch.setenv("HF_ENDPOINT", endpoint)
        with pytest.raises(DownloadError, match="HF_ENDPOINT is not an address"), Transfer(ORIGIN) as connection:
            connection.announced(ORIGIN.url(SMALL))

    def test_certificates_that_are_not_there_are_told(self, monkeypatch):
        monkeypatch.setenv("HF_ENDPOINT", "https://127.0.0.1:1")
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/no/such.pem")
        with Transfer(ORIGIN) as connection, pytest.raises(DownloadError, match=r"invalid path: /no/such\.pem"):
            connection.announced(ORIGIN.url(SMALL))

    def test_a_proxy_that_cannot_be_used_is_told(self, monkeypatch):
        monkeypatch.setenv("HF_ENDPOINT", "http://models.invalid")
        monkeypatch.setenv("http_proxy", "socks5://127.0.0.1:1")
        monkeypatch.delenv("NO_PROXY")
        with Transfer(ORIGIN) as connection, pytest.raises(DownloadError, match="through a proxy"):
            connection.announced(ORIGIN.url(SMALL))

    def test_a_refused_token_is_told(self, hub, monkeypatch):
        monkeypatch.setenv("HF_TOKEN", "hf_old")
        hub.repositories["a/private"] = Repository({SMALL: CONFIG}, token="t")
        origin = HuggingFace("a/private")
        with Transfer(origin) as connection, pytest.raises(DownloadError, match="or the token was refused"):
            connection.announced(origin.url(SMALL))

    def test_a_password_in_the_endpoint_is_not_shown(self, hub, monkeypatch):
        monkeypatch.setenv("HF_ENDPOINT", hub.url.replace("//", "//user:password@"))
        hub.head_faults[SMALL] = [status(418)]
        with Transfer(ORIGIN) as connection, pytest.raises(DownloadError) as error:
            connection.announced(ORIGIN.url(SMALL))
        assert "127.0.0.1" in str(error.value)
        assert "password" not in str(error.value)
        assert hub.asked[0][3]["Authorization"] == "Basic dXNlcjpwYXNzd29yZA=="


class TestTheToken:
    def test_it_goes_to_the_publisher_and_to_no_other_host(self, hub, monkeypatch, tmp_path):
        hub.repositories["someone/model"].token = "hf_secret"
        monkeypatch.setenv("HF_TOKEN", "hf_secret\n")
        assert fetch(tmp_path) == WEIGHTS
        tokens = {(server, headers.get("Authorization")) for server, _, _, headers in hub.asked}
        assert tokens == {("main", "Bearer hf_secret"), ("cdn", None)}

    def test_it_does_not_follow_a_redirect_of_a_small_file(self, hub, monkeypatch, tmp_path):
        monkeypatch.setenv("HF_TOKEN", "hf_secret")
        hub.head_faults[SMALL] = [redirect(f"{hub.cdn}/elsewhere")]
        with Transfer(ORIGIN) as connection:
            connection.announced(ORIGIN.url(SMALL))
        assert [("Authorization" in headers) for *_, headers in hub.asked] == [True, False]

    def test_it_comes_from_the_file_that_a_login_writes(self, hub, monkeypatch, tmp_path):
        (tmp_path / "token").write_text("hf_from_file\n")
        monkeypatch.setenv("HF_HOME", str(tmp_path))
        assert ORIGIN.token == "hf_from_file"
        monkeypatch.setenv("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1")
        assert ORIGIN.token is None

    def test_none_is_sent_where_huggingface_hub_would_send_none_unasked(self, hub, monkeypatch, tmp_path):
        monkeypatch.setenv("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1")
        monkeypatch.setenv("HF_TOKEN", "hf_secret")
        assert fetch(tmp_path) == WEIGHTS
        assert {headers.get("Authorization") for *_, headers in hub.asked} == {None}

    @pytest.mark.parametrize("token", ["hf_sec ret", "hf_secret\r\nX-Evil: 1", "hf_sécret"])
    def test_one_that_cannot_be_one_is_refused_and_not_shown(self, hub, monkeypatch, token):
        monkeypatch.setenv("HF_TOKEN", token)
        with pytest.raises(DownloadError) as error:
            Transfer(ORIGIN)
        assert "hf_s" not in str(error.value)

    def test_a_password_of_netrc_is_not_sent(self, hub, monkeypatch, tmp_path):
        (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password mine\n")
        monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
        fetch(tmp_path)
        assert not any("Authorization" in headers for *_, headers in hub.asked)


class TestCutConnections:
    def test_sixty_cuts_at_random_bytes_leave_the_file_bit_identical(self, hub, tmp_path):
        hub.faults[LARGE] = [cut_after(int(n)) for n in RNG.integers(1, 30_000, 60)]
        assert fetch(tmp_path) == WEIGHTS
        assert len(hub.requests("GET", LARGE)) >= 2 * 60
        assert hub.n_sent < 1.3 * len(WEIGHTS)  # what had arrived was not sent again
        assert parts(tmp_path) == []

    def test_cuts_are_survived_without_a_bar_too(self, hub, tmp_path, monkeypatch):
        monkeypatch.setenv("TQDM_DISABLE", "1")
        hub.faults[LARGE] = [cut_after(10_000)] * 20
        assert fetch(tmp_path) == WEIGHTS

    def test_a_signed_address_that_has_run_out_is_asked_for_anew(self, hub, tmp_path):
        hub.faults[LARGE] = [status(403), cut_after(10_000), status(403), status(404)]
        assert fetch(tmp_path) == WEIGHTS

    @pytest.mark.parametrize("fault", [hang_up, status(503), status(403), other_length(300)])
    def test_a_passing_fault_costs_nothing_that_has_arrived(self, hub, tmp_path, fault):
        hub.faults[LARGE] = [cut_after(600_000), fault, fault]
        assert fetch(tmp_path) == WEIGHTS
        assert hub.asked[-1][3]["Range"] == "bytes=600000-"

    def test_a_later_process_goes_on_from_where_an_earlier_one_ended(self, hub, tmp_path):
        for n in RNG.integers(1, 100_000, 5):
            hub.faults[LARGE] = [cut_after(int(n))] + [hang_up] * (transfer.RETRIES + 1)
            with pytest.raises(DownloadError, match="the connection was cut, 7 times in a row"):
                fetch(tmp_path)
            hub.faults.clear()
            (part,) = parts(tmp_path)
            assert WEIGHTS.startswith(part.read_bytes())
        kept = part.stat().st_size
        assert fetch(tmp_path) == WEIGHTS
        assert hub.asked[-1][3]["Range"] == f"bytes={kept}-"

    @pytest.mark.parametrize("fault", [hang_up, status(503), status(500), status(429), status(408)])
    def test_what_may_pass_is_tried_again(self, hub, tmp_path, fault):
        hub.head_faults[LARGE] = [fault] * transfer.RETRIES
        hub.faults[LARGE] = [fault] * transfer.RETRIES
        assert fetch(tmp_path) == WEIGHTS

    @pytest.mark.parametrize("kind", ["head_faults", "faults"])
    def test_what_does_not_pass_is_an_error_after_some_tries(self, hub, tmp_path, kind):
        getattr(hub, kind)[LARGE] = [status(503)] * (transfer.RETRIES + 1)
        with pytest.raises(DownloadError, match="answered with HTTP status 503, 7 times in a row: try again later"):
            fetch(tmp_path)

    @pytest.mark.parametrize("form", ["seconds", "date", "quota", "several"])
    def test_the_server_s_wish_to_wait_is_honoured(self, hub, tmp_path, monkeypatch, form):
        waited = []
        monkeypatch.setattr(time, "sleep", waited.append)
        wish = {
            "seconds": {"Retry_After": "7"}, "date": {"Retry_After": formatdate(time.time() + 8, usegmt=True)},
            "quota": {"RateLimit": '"api";r=0;t=7'}, "several": {"RateLimit": '"resolvers"; r=0; t=7, "x";r=9'},
        }[form]  # fmt: skip
        hub.head_faults[LARGE] = [status(429, **wish)]
        fetch(tmp_path)
        assert 6 < max(waited) <= 8

    @pytest.mark.parametrize(
        "when", ["nonsense", "-1", "", "9" * 5000, "Mon, 01 Jan 99999999999999999999 00:00:00 GMT"]
    )
    def test_a_wish_that_says_nothing_is_ignored(self, hub, tmp_path, when):
        hub.head_faults[LARGE] = [status(429, Retry_After=when)]
        assert fetch(tmp_path) == WEIGHTS

    @pytest.mark.parametrize("quota", ["", '"api";r=0', '"api";t=', '"api";rt=9', "t=x", ";t=" + "9" * 5000])
    def test_a_quota_that_says_nothing_is_ignored(self, hub, tmp_path, quota):
        hub.head_faults[LARGE] = [status(429, RateLimit=quota)]
        assert fetch(tmp_path) == WEIGHTS

    def test_a_wait_of_hours_is_left_to_the_user(self, hub, tmp_path):
        hub.head_faults[LARGE] = [status(429, Retry_After="7200")]
        with pytest.raises(DownloadError, match="asks to be tried again in 7200 seconds"):
            fetch(tmp_path)

    def test_the_waits_grow(self, hub, tmp_path, monkeypatch):
        waited = []
        monkeypatch.setattr(time, "sleep", waited.append)
        monkeypatch.setattr(transfer, "FIRST_WAIT", 1.0)
        hub.head_faults[LARGE] = [status(503)] * 5
        fetch(tmp_path)
        assert all(2**n <= wait < 1.3 * 2**n for n, wait in enumerate(waited))
        assert len(waited) == 5

    def test_a_trickle_is_a_cut(self, hub, tmp_path, monkeypatch):
        monkeypatch.setattr(transfer, "STALL", 0.1)
        hub.faults[LARGE] = [drip(1), drip(1)]
        assert fetch(tmp_path) == WEIGHTS

    def test_a_trickle_without_end_is_an_error(self, hub, tmp_path, monkeypatch):
        monkeypatch.setattr(transfer, "STALL", 0.05)
        hub.faults[LARGE] = [drip(1)] * 20
        with pytest.raises(DownloadError, match=r"only \d+B came in .* 7 times in a row"):
            fetch(tmp_path)

    def test_silence_is_a_cut(self, hub, tmp_path, monkeypatch):
        monkeypatch.setattr(transfer, "TIMEOUT", (1, 0.1))

        def silent(handler, content):
            time.sleep(0.5)
            handler.close_connection = True

        hub.head_faults[LARGE], hub.faults[LARGE] = [silent], [silent]
        assert fetch(tmp_path) == WEIGHTS


class TestWrongAnswers:
    def test_a_server_that_ignores_ranges_is_read_from_where_the_part_ends(self, hub, tmp_path):
        hub.faults[LARGE] = [ignore_range(300_000), ignore_range(100_000), ignore_range(500_000), ignore_range()]
        assert fetch(tmp_path) == WEIGHTS

    @pytest.mark.parametrize(
        "wrong", [ignore_range(0), other_length(300), start_elsewhere(5), status(416), status(204), status(404)],
        ids=["nothing", "a page", "elsewhere", "416", "204", "404"],
    )  # fmt: skip
    def test_a_wrong_answer_costs_nothing_that_has_arrived(self, hub, tmp_path, wrong):
        hub.faults[LARGE] = [cut_after(600_000)] + [wrong] * (transfer.RETRIES + 1)
        with pytest.raises(DownloadError, match="7 times in a row"):
            fetch(tmp_path)
        assert [part.stat().st_size for part in parts(tmp_path)] == [600_000]
        hub.faults.clear()
        assert fetch(tmp_path) == WEIGHTS
        assert hub.asked[-1][3]["Range"] == "bytes=600000-"

    @pytest.mark.parametrize("shift", [-1000, 1, 1000])
    def test_a_range_that_starts_elsewhere_is_not_used(self, hub, tmp_path, shift):
        hub.faults[LARGE] = [cut_after(300_000), start_elsewhere(shift), cut_after(200_000), start_elsewhere(shift)]
        assert fetch(tmp_path) == WEIGHTS

    @pytest.mark.parametrize(
        "content_range",
        [
            "",
            "bytes",
            "bytes 300000-/1000003",
            "bytes 300000-1000002/5",
            "bytes 300000-2000000/*",
            f"bytes 300000-{'9' * 5000}/*",
        ],
    )
    def test_a_range_that_is_none_is_not_used(self, hub, tmp_path, content_range):
        def answer(handler, content):
            handler.reply(206, {"Content-Length": 10, "Content-Range": content_range}, bytes(10))

        hub.faults[LARGE] = [cut_after(300_000), answer]
        assert fetch(tmp_path) == WEIGHTS

    def test_wrong_bytes_never_get_the_file_s_name(self, hub, tmp_path):
        hub.faults[LARGE] = [other_bytes]
        with pytest.raises(
            DownloadError, match=r"model\.safetensors from 127\.0\.0\.1:\d+ arrived damaged: its digest"
        ):
            fetch(tmp_path)
        assert list(tmp_path.iterdir()) == []

    def test_a_damaged_beginning_is_thrown_away_and_the_file_fetched_anew(self, hub, tmp_path):
        hub.faults[LARGE] = [cut_after(300_000)] + [hang_up] * (transfer.RETRIES + 1)
        with pytest.raises(DownloadError):
            fetch(tmp_path)
        (part,) = parts(tmp_path)
        part.write_bytes(bytes(300_000))  # as after a power cut
        hub.faults.clear()
        assert fetch(tmp_path) == WEIGHTS

    def test_a_beginning_that_is_too_long_is_thrown_away(self, hub, tmp_path):
        with Transfer(ORIGIN) as connection:
            remote = connection.announced(ORIGIN.url(LARGE))
        remote.part(tmp_path / LARGE).write_bytes(WEIGHTS + b"more")
        assert fetch(tmp_path) == WEIGHTS

    def test_a_beginning_of_another_version_is_not_used(self, hub, tmp_path):
        hub.faults[LARGE] = [cut_after(300_000)] + [hang_up] * (transfer.RETRIES + 1)
        with pytest.raises(DownloadError):
            fetch(tmp_path)
        hub.faults.clear()
        newer = RNG.bytes(len(WEIGHTS))
        hub.repositories["someone/model"].files[LARGE] = newer
        assert fetch(tmp_path) == newer

    @pytest.mark.parametrize("n", [0, 1, len(WEIGHTS) - 1, len(WEIGHTS) + 1, 3 * len(WEIGHTS)])
    def test_another_length_than_announced_is_refused(self, hub, tmp_path, n):
        hub.faults[LARGE] = [other_length(n)] * 10
        with pytest.raises(DownloadError, match=f"sent a file of {n} bytes, not {len(WEIGHTS)}"):
            fetch(tmp_path)
        assert list(tmp_path.iterdir()) == []

    def test_one_wrong_length_is_tried_again(self, hub, tmp_path):
        hub.faults[LARGE] = [other_length(5)]
        assert fetch(tmp_path) == WEIGHTS

    def test_bytes_after_the_last_announced_one_are_left_out(self, hub, tmp_path):
        hub.faults[LARGE] = [without_length(extra=b"more")]
        assert fetch(tmp_path) == WEIGHTS

    def test_an_end_too_early_of_an_answer_without_length_is_a_cut(self, hub, tmp_path):
        def early(handler, content):
            handler.reply(200, {"Connection": "close"}, content[:1000])
            handler.close_connection = True

        hub.faults[LARGE] = [early]
        assert fetch(tmp_path) == WEIGHTS

    @pytest.mark.parametrize("answer", [status(302), status(204), status(304)], ids=["302", "204", "304"])
    def test_an_answer_without_a_file_is_none(self, hub, tmp_path, answer):
        hub.faults[SMALL] = [answer] * (transfer.RETRIES + 1)
        with pytest.raises(DownloadError, match=r"answered with HTTP status [23]0[24], 7 times"):
            fetch(tmp_path, SMALL)
        assert not (tmp_path / SMALL).exists()

    def test_a_compressed_answer_is_refused(self, hub, tmp_path):
        hub.faults[SMALL] = [lambda handler, content: handler.send(content, {"Content-Encoding": "gzip"})]
        with pytest.raises(DownloadError, match="sends files as 'gzip', although it was asked not to"):
            fetch(tmp_path, SMALL)
        assert list(tmp_path.iterdir()) == []

    def test_a_question_that_is_answered_compressed_is_asked_as_the_file_itself_is(self, hub, tmp_path):
        """As by a proxy that compresses whatever is text, of which it then knows no length."""
        compressed = {"Content-Encoding": "gzip", "Content-Length": 7, "ETag": 'W/"other"'}
        hub.head_faults[SMALL] = [lambda handler, content: handler.reply(200, compressed)]
        assert fetch(tmp_path, SMALL) == (tmp_path / SMALL).read_bytes()
        assert [method for _, method, *_ in hub.asked] == ["HEAD", "GET", "GET"]

    def test_two_versions_are_never_mixed_where_the_server_names_none(self, hub, tmp_path):
        """No ETag, no digest, and equal lengths: what had arrived is worth nothing."""
        newer = RNG.bytes(len(WEIGHTS))
        files = hub.repositories["someone/model"].files
        files["data"] = WEIGHTS

        def plain(n):
            return lambda handler, content: handler.reply(200, {"Content-Length": len(content)}, content[:n])

        hub.head_faults["data"] = [plain(0), plain(0)]
        hub.faults["data"] = [plain(300_000)] * 20
        with pytest.raises(DownloadError):
            fetch(tmp_path, "data")
        files["data"] = newer
        hub.faults["data"] = [plain(200_000), plain(None)]
        assert fetch(tmp_path, "data") == newer

    def test_a_version_that_changes_after_it_was_announced_is_not_taken(self, hub, tmp_path):
        hub.repositories["someone/model"].files["data"] = WEIGHTS
        announce = {"Content-Length": len(WEIGHTS), "ETag": '"first"'}
        hub.head_faults["data"] = [lambda handler, content: handler.reply(200, announce)]
        with pytest.raises(DownloadError, match="the server has a different version from the one it announced"):
            fetch(tmp_path, "data")

    @pytest.mark.parametrize("size", ["9" * 5000, "-1", "1e3", "", "0x10"])
    def test_a_size_that_is_none_is_refused(self, hub, tmp_path, size):
        hub.head_faults[SMALL] = [lambda handler, content: handler.reply(200, {"X-Linked-Size": size})]
        with pytest.raises(DownloadError, match=r"does not say how large config\.json is"):
            fetch(tmp_path, SMALL)

    def test_a_digest_that_is_none_is_ignored(self, hub, tmp_path):
        answer = {"Content-Length": len(CONFIG), "Content-MD5": "\xe9", "ETag": '"x"'}
        hub.head_faults[SMALL] = [lambda handler, content: handler.reply(200, answer)]
        hub.faults[SMALL] = [lambda handler, content: handler.reply(200, answer, content)]
        assert fetch(tmp_path, SMALL) == CONFIG

    def test_the_body_of_a_redirect_is_not_read(self, hub, tmp_path):
        place = f"{hub.url}/someone/model/resolve/main/{SMALL}"
        answer = {"Location": place, "Content-Length": 10**12}
        hub.faults["other.json"] = [lambda handler, content: handler.reply(302, answer, bytes(1000))]
        hub.repositories["someone/model"].files["other.json"] = CONFIG
        assert fetch(tmp_path, "other.json") == CONFIG

    def test_redirects_in_a_circle_end(self, hub, tmp_path):
        hub.head_faults[SMALL] = [redirect(ORIGIN.url(SMALL))] * 50
        with pytest.raises(DownloadError, match=r"redirects config\.json 10 times"):
            fetch(tmp_path, SMALL)

    @pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://127.0.0.1/", "javascript:0"])
    def test_a_redirect_out_of_the_web_is_refused(self, hub, tmp_path, target):
        hub.head_faults[SMALL] = [redirect(target)]
        with pytest.raises(DownloadError, match="unsafe address"):
            fetch(tmp_path, SMALL)

    def test_a_redirect_to_nonsense_is_refused(self, hub, tmp_path):
        hub.head_faults[SMALL] = [redirect("http://[")]
        with pytest.raises(DownloadError, match="unsafe address"):
            fetch(tmp_path, SMALL)

    def test_an_empty_file_arrives(self, hub, tmp_path):
        hub.repositories["someone/model"].files["empty.txt"] = b""
        assert fetch(tmp_path, "empty.txt") == b""

    def test_a_signature_of_an_address_is_not_shown(self, hub, tmp_path):
        hub.faults[LARGE] = [status(403)] * 10
        with pytest.raises(DownloadError) as error:
            fetch(tmp_path)
        assert "secret" not in str(error.value)


def test_a_full_disk_keeps_what_has_arrived(hub, tmp_path, monkeypatch):
    hub.faults[LARGE] = [cut_after(300_000)] + [hang_up] * (transfer.RETRIES + 1)
    with pytest.raises(DownloadError):
        fetch(tmp_path)
    hub.faults.clear()

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            fetch(tmp_path)
    assert not (tmp_path / LARGE).exists()
    assert parts(tmp_path)
    assert fetch(tmp_path) == WEIGHTS


def test_a_bar_shows_how_far_the_file_is(hub, tmp_path, capsys):
    hub.faults[LARGE] = [cut_after(300_000)]
    fetch(tmp_path)
    err = capsys.readouterr().err
    assert "model.safetensors: 100%" in err
    assert "1.00M/1.00M" in err


def test_a_proxy_of_the_environment_is_used(hub, monkeypatch):
    monkeypatch.setenv("http_proxy", hub.url)
    monkeypatch.delenv("NO_PROXY")
    monkeypatch.setenv("HF_ENDPOINT", "http://models.invalid")
    with Transfer(ORIGIN) as connection:
        connection.announced(ORIGIN.url(SMALL))
    assert hub.asked[0][2].startswith("http://models.invalid/someone/model/")
