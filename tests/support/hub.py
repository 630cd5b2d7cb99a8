"""A server on the loopback that lays out files as the publishers do, and misbehaves when it is told to.

The Hugging Face Hub's side answers as huggingface_hub 2.4 expects of it (file_download.py, utils/_http.py), which
`test_hub.py` checks with huggingface_hub itself: a small file has its git blob id as ETag; a large one is a redirect to
another host, which announces size and SHA-256, and whose target is signed for GET alone. OpenAI's side has Content-MD5.
GitHub's has an ETag that looks like a SHA-256, and is not that of the file; any other store can be laid out there, too.
"""

import base64
import contextlib
import hashlib
import json
import re
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"
LARGE = (".safetensors", ".bin", ".zip")
SIGNATURE = "?X-Amz-Signature=secret-of-the-address"


def git_id(content):
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


@dataclass
class Repository:
    files: dict[str, bytes]
    commit: str = COMMIT
    token: str | None = None  # that is needed to read it
    gated: bool = False


@dataclass
class Hub:
    """What is published, what goes wrong, and what was asked.

    `faults` has, for a file, what happens to its next GETs, one after the other: functions (handler, content) that
    answer in the place of the server. `head_faults` is the same for HEAD.
    """

    repositories: dict[str, Repository] = field(default_factory=dict)
    moved: dict[str, str] = field(default_factory=dict)  # old name of a repository -> new name
    openai: dict[str, dict[str, bytes]] = field(default_factory=dict)
    github: dict[str, bytes] = field(default_factory=dict)  # "/owner/name/commit/file" -> content
    faults: dict[str, list] = field(default_factory=dict)
    head_faults: dict[str, list] = field(default_factory=dict)
    asked: list = field(default_factory=list)  # (server, method, path, headers)
    n_sent: int = 0  # bytes of bodies
    bytes_per_second: float | None = None

    def __enter__(self):
        self.servers = [_Server(self, "main"), _Server(self, "cdn")]
        for server in self.servers:
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_):
        for server in self.servers:
            server.shutdown()
            server.server_close()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.servers[0].server_port}"

    @property
    def cdn(self):
        return f"http://127.0.0.1:{self.servers[1].server_port}"

    def requests(self, method, file=""):
        """The requests of a method for a file, whichever server they came to."""
        return [entry for entry in self.asked if entry[1] == method and f"/{file}" in entry[2]]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, hub, role):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.hub = hub
        self.role = role

    def handle_error(self, request, client_address):
        """A client that went away is nothing to report."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self._answer()

    do_GET = do_HEAD  # noqa: N815

    def _answer(self):
        hub = self.server.hub
        hub.asked.append((self.server.role, self.command, self.path, dict(self.headers)))
        path = unquote(urlsplit(self.path).path)
        if path in hub.github:
            self._file(path.rpartition("/")[2], hub.github[path], {"ETag": f'"{"0123456789abcdef" * 4}"'})
        elif match := re.fullmatch(r"/gpt-2/models/(\w+)/(.+)", path):
            self._openai(hub.openai.get(match[1], {}), match[2])
        elif match := re.fullmatch(r"/api/models/(.+?)/(revision|tree)/.+", path):
            self._api(hub.repositories.get(match[1]), match[2])
        elif match := re.fullmatch(r"/(.+?)/resolve/(.+?)/([^/]+)", path):
            self._hugging_face(*match.groups())
        else:
            self.refuse(404)

    def _openai(self, files, name):
        if name not in files:
            self.refuse(404)
            return
        md5 = base64.b64encode(hashlib.md5(files[name]).digest()).decode()
        self._file(name, files[name], {"ETag": '"0x8D6A3B1"', "Content-MD5": md5})

    def _api(self, repository, question):
        if repository is None:
            self.refuse(401, "RepoNotFound")
            return
        if question == "tree":
            files = repository.files.items()
            answer = [{"type": "file", "path": name, "size": len(file), "oid": git_id(file)} for name, file in files]
        else:
            siblings = [{"rfilename": name} for name in repository.files]
            answer = {"id": "any", "modelId": "any", "sha": repository.commit, "siblings": siblings}
        body = json.dumps(answer).encode()
        self.reply(200, {"Content-Type": "application/json", "Content-Length": len(body)}, body)

    def _hugging_face(self, repository_name, revision, name):
        hub = self.server.hub
        if repository_name in hub.moved:
            place = self.path.replace(repository_name, hub.moved[repository_name], 1)
            self.reply(307, {"Location": place, "Content-Length": 0})
            return
        repository = hub.repositories.get(repository_name)
        authorized = self.headers.get("Authorization") == f"Bearer {repository and repository.token}"
        if self.server.role == "cdn":
            if self.command == "HEAD" or SIGNATURE not in self.path:
                self.refuse(403)
            else:
                self._file(name, repository.files[name], {"ETag": '"an-etag-of-the-store"'})
        elif repository is None or (repository.token and not repository.gated and not authorized):
            self.refuse(401, "RepoNotFound")
        elif repository.gated and not authorized:
            self.refuse(403, "GatedRepo")
        elif revision not in ("main", repository.commit):
            self.refuse(404, "RevisionNotFound")
        elif name not in repository.files:
            self.refuse(404, "EntryNotFound", {"X-Repo-Commit": repository.commit})
        else:
            self._published(repository, name)

    def _published(self, repository, name):
        content = repository.files[name]
        headers = {"X-Repo-Commit": repository.commit}
        if not name.endswith(LARGE):
            self._file(name, content, {**headers, "ETag": f'"{git_id(content)}"'})
            return
        if self.command == "HEAD" and self._misbehave(self.server.hub.head_faults, name, content):
            return
        headers |= {
            "X-Linked-Size": len(content),
            "X-Linked-Etag": f'"{hashlib.sha256(content).hexdigest()}"',
            "Location": f"{self.server.hub.cdn}{self.path}{SIGNATURE}",
            "Content-Length": 0,
        }
        self.reply(302, headers)

    def _misbehave(self, faults, name, content):
        waiting = faults.get(name)
        if not waiting:
            return False
        waiting.pop(0)(self, content)
        return True

    def _file(self, name, content, headers):
        faults = self.server.hub.head_faults if self.command == "HEAD" else self.server.hub.faults
        if not self._misbehave(faults, name, content):
            self.send(content, headers)

    def start(self):
        """Where the client wants the answer to begin."""
        match = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        return int(match[1]) if match else 0

    def send(self, content, headers=(), n=None):
        """The file from where the client wants it, or the first n bytes of that."""
        start = self.start()
        if start >= len(content) > 0:
            self.reply(416, {"Content-Range": f"bytes */{len(content)}", "Content-Length": 0})
            return
        headers = {"Content-Length": len(content) - start, "Accept-Ranges": "bytes", **dict(headers)}
        if start:
            headers |= {"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"}
        self.reply(206 if start else 200, headers, content[start:][:n])

    def refuse(self, status, code=None, headers=()):
        self.reply(status, {**({"X-Error-Code": code} if code else {}), "Content-Length": 0, **dict(headers)})

    def reply(self, status, headers, body=b""):
        with contextlib.suppress(ConnectionError):
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, str(value))
            self.end_headers()
            if self.command != "HEAD":
                self.body(body)
            if int(headers.get("Content-Length", 0)) != len(body):
                self.close_connection = True

    def body(self, body):
        rate = self.server.hub.bytes_per_second
        step = max(int(rate / 50), 1) if rate else len(body) or 1
        for begin in range(0, len(body), step):
            self.wfile.write(body[begin : begin + step])
            self.server.hub.n_sent += len(body[begin : begin + step])
            if rate:
                time.sleep(0.02)


def cut_after(n):
    """The connection is cut after n bytes."""
    return lambda handler, content: handler.send(content, n=n)


def status(code, **headers):
    """The server answers with a status."""
    return lambda handler, content: handler.refuse(code, headers={k.replace("_", "-"): v for k, v in headers.items()})


def hang_up(handler, content):
    """The connection is closed without an answer."""
    handler.close_connection = True


def ignore_range(n=None):
    """The server sends the file from its beginning whatever was asked for."""
    return lambda handler, content: handler.reply(200, {"Content-Length": len(content)}, content[:n])


def start_elsewhere(shift):
    """The server sends another range than was asked for, and says so."""

    def answer(handler, content):
        start = handler.start() + shift
        headers = {"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"}
        handler.reply(206, {"Content-Length": len(content) - start, **headers}, content[start:])

    return answer


def other_bytes(handler, content):
    """As many bytes as the file has, but others."""
    handler.send(bytes(byte ^ 1 for byte in content))


def other_length(n):
    """A whole answer of another length than was announced."""
    return lambda handler, content: handler.reply(200, {"Content-Length": n}, (content + bytes(n))[:n])


def without_length(extra=b""):
    """The file and more, of a length that is not announced; the connection ends it."""

    def answer(handler, content):
        handler.reply(200, {"Connection": "close"}, content[handler.start() :] + extra)
        handler.close_connection = True

    return answer


def drip(seconds):
    """A few bytes at a time for some seconds, which never count as a silence."""

    def answer(handler, content):
        handler.reply(200, {"Content-Length": len(content)})
        for n in range(int(seconds / 0.02)):
            handler.wfile.write(content[n : n + 1])
            time.sleep(0.02)
        handler.close_connection = True

    return answer


def redirect(url):
    """To another address."""
    return lambda handler, content: handler.reply(302, {"Location": url, "Content-Length": 0})
