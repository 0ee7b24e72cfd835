"""How a server is reached: the environment's proxies and certificates, and many calls at once."""

import asyncio
import base64
import json
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from persyn_kedro.domain.engines import engine_of
from persyn_kedro.domain.engines.base import Generation, Request
from persyn_kedro.domain.engines.transport import proxy_of
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.models.resolve import ResolvedModel
from persyn_kedro.foundations.settings.engine import EngineSettings
from persyn_kedro.foundations.settings.sampling import SamplingSettings
from tests.support.endpoint import Endpoint, completion
from tests.support.hosted_teachers import KEY, remote
from tests.support.loopback import JsonHandler, served

VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def ask(model: ResolvedModel, *prompts: str) -> list[Generation]:
    requests = [Request(p, p, None, SamplingSettings(), seed=5) for p in prompts]
    return list(engine_of(model, EngineSettings()).generate(requests))


class Proxy(JsonHandler):
    """Answers in the server's place, and keeps what it was asked for."""

    seen: list[tuple[str, str | None, str | None]]

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        headers = (self.headers.get(f"{name}Authorization") for name in ("", "Proxy-"))
        self.seen.append((self.path, *headers))
        self.reply(200, completion("by proxy"))


class Refusing(JsonHandler):
    """A proxy that lets nobody through, in words that hold its password."""

    def do_CONNECT(self) -> None:
        self.send_response_only(407, f"no, {self.headers.get('Proxy-Authorization')}")
        self.send_header("Content-Length", "0")
        self.end_headers()


class Moved(JsonHandler):
    """Sends every request on to another server."""

    to: str

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.raw(307, b"", {"Location": self.to})


class Headers(JsonHandler):
    """Answers, and keeps what two headers said."""

    seen: list[list[list[str] | None]]

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.seen.append([self.headers.get_all(n) for n in ("Authorization", "X-Tenant")])
        self.reply(200, completion("p"))


def test_a_secret_header_goes_to_no_other_server_that_a_redirect_names(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_TENANT", "tenant-7")
    seen: list[Any] = []
    with served(Headers, seen=seen) as other:
        endpoint.url = f"{other}/v1"
        ask(remote(endpoint, extra_headers={"X-Tenant": "MY_TENANT"}), "p")
        assert seen.pop() == [[f"Bearer {KEY}"], ["tenant-7"]]
        with served(Moved, to=f"{other}/v1/chat/completions") as moved:
            endpoint.url = f"{moved}/v1"
            (answer,) = ask(remote(endpoint, extra_headers={"X-Tenant": "MY_TENANT"}), "p")
        assert answer.response == "echo p" and seen == [[None, None]]


def test_an_extra_header_replaces_one_of_ours_in_any_case(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_LOGIN", "Basic bWU6cGFzcw==")
    seen: list[Any] = []
    with served(Headers, seen=seen) as server:
        endpoint.url = f"{server}/v1"
        ask(remote(endpoint, extra_headers={"authorization": "MY_LOGIN"}), "p")
    assert seen == [[["Basic bWU6cGFzcw=="], None]]


def test_a_thread_that_cannot_begin_says_so_instead_of_waiting(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("certifi.where", lambda: "/nowhere.pem")
    endpoint.url = endpoint.url.replace("http:", "https:")
    with pytest.raises(FileNotFoundError):
        ask(remote(endpoint), "p")


def test_the_environments_proxy_is_used_with_its_password(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []
    with served(Proxy, seen=seen) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.replace("//", "//me:pass@"))
        (answer,) = ask(remote(endpoint), "p")
        assert answer.response == "echo by proxy" and not endpoint.bodies
        login = f"Basic {base64.b64encode(b'me:pass').decode()}"
        assert seen == [(f"{endpoint.url}/chat/completions", f"Bearer {KEY}", login)]
        monkeypatch.setenv("NO_PROXY", "localhost,127.0.0.0/8")
        (answer,) = ask(remote(endpoint), "p")
        assert answer.response == "echo p" and len(seen) == 1


def test_a_proxy_that_refuses_has_charged_nothing_and_keeps_its_password(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    with served(Refusing) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.replace("//", "//me:pass@"))
        endpoint.url = "https://far.example/v1"
        (answer,) = ask(remote(endpoint, max_tries=2), "p")
    assert (answer.error, answer.unknown) == ("Connection error.", 0)


@pytest.mark.parametrize(
    ("url", "environment", "proxy"),
    [
        ("https://far/v1", {}, None),
        ("https://far/v1", {"HTTPS_PROXY": "http://p:1"}, "http://p:1"),
        ("https://far/v1", {"HTTP_PROXY": "http://p:1"}, None),
        ("https://far/v1", {"ALL_PROXY": "p:1"}, "http://p:1"),
        ("http://far/v1", {"https_proxy": "http://q", "http_proxy": "http://p"}, "http://p"),
        ("https://api.far.org/v1", {"ALL_PROXY": "http://p", "NO_PROXY": "far.org"}, None),
        ("https://afar.org/v1", {"ALL_PROXY": "http://p", "NO_PROXY": "far.org"}, "http://p"),
        ("http://10.1.2.3/v1", {"ALL_PROXY": "http://p", "NO_PROXY": "a, 10.0.0.0/8"}, None),
        ("http://[::1]:8/v1", {"ALL_PROXY": "http://p", "NO_PROXY": "::1"}, None),
        ("http://11.1.2.3/v1", {"ALL_PROXY": "http://p", "NO_PROXY": "10.0.0.0/8"}, "http://p"),
        ("https://far/v1", {"ALL_PROXY": "http://p", "NO_PROXY": "*"}, None),
    ],
)
def test_which_proxy_the_environment_wants(
    monkeypatch: pytest.MonkeyPatch, url: str, environment: dict[str, str], proxy: str | None
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert proxy_of(url) == proxy


def test_a_proxy_of_another_kind_is_refused_in_a_sentence(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks5://me:pass@proxy:1080")
    with pytest.raises(
        PersynError, match="proxy for 127.0.0.1 is a socks5 proxy, but only"
    ) as refused:
        ask(remote(endpoint), "p")
    assert "pass" not in str(refused.value)


@pytest.fixture
def encrypted(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A server at https://localhost whose certificate nobody has signed; and the certificate."""
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1",
         "-keyout", key, "-out", certificate, "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost"],
        check=True, capture_output=True,
    )  # fmt: skip

    class Handler(JsonHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.reply(200, completion("encrypted"))

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"https://localhost:{server.server_address[1]}/v1", certificate
    server.shutdown()
    server.server_close()


def test_a_certificate_is_checked_by_the_environments(
    endpoint: Endpoint, encrypted: tuple[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint.url, certificate = encrypted
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
    (answer,) = ask(remote(endpoint, max_tries=1), "p")
    assert (answer.error, answer.unknown) == ("Connection error.", 0)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    (answer,) = ask(remote(endpoint, max_tries=1), "p")
    assert answer.response == "echo encrypted"


def test_a_server_that_does_not_read_the_prompt_is_given_up_on(endpoint: Endpoint) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        endpoint.url = f"http://127.0.0.1:{deaf.getsockname()[1]}/v1"
        (answer,) = ask(remote(endpoint, max_tries=1, timeout_seconds=0.3), "long " * 4_000_000)
    assert answer.error == "no answer within 0.3 s" and answer.unknown == 1


def test_the_addresss_query_stays_behind_the_path(endpoint: Endpoint) -> None:
    seen: list[Any] = []
    with served(Proxy, seen=seen) as address:
        endpoint.url = f"{address}/v1/?api-version=7"
        ask(remote(endpoint), "p")
    assert seen[0][0] == "/v1/chat/completions?api-version=7"


def test_a_thousand_are_under_way_at_once(endpoint: Endpoint) -> None:
    """The server answers none before it has them all."""
    count = 1000
    data = json.dumps(completion("p")).encode()
    reply = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(data), data)
    loop, here, waiting = asyncio.new_event_loop(), threading.Event(), []

    async def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"}]")  # the messages
        waiting.append(writer)
        if len(waiting) == count:
            for each in waiting:
                each.write(reply)

    async def serve() -> None:
        server = await asyncio.start_server(meet, "127.0.0.1", 0, backlog=2 * count)
        endpoint.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        here.set()

    loop.create_task(serve())
    threading.Thread(target=loop.run_forever, daemon=True).start()
    here.wait()
    model = remote(endpoint, max_concurrency=count, timeout_seconds=60, max_tries=1)
    answers = ask(model, *(f"p{i}" for i in range(count)))
    loop.call_soon_threadsafe(loop.stop)
    assert {answer.key for answer in answers} == {f"p{i}" for i in range(count)}
    assert {answer.response for answer in answers} == {"echo p"}
