"""HTTP to a model's server with aiohttp: one request, and what it means if there is no reply.

The official client takes seven times the processor time per call (``benchmarks/hosted.py``), and
its retries would ignore the limit that all calls share.
"""

import asyncio
import ipaddress
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from importlib import metadata
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from persyn_kedro.domain.engines.arguments import api_key, extra_headers
from persyn_kedro.domain.engines.replies.refusals import Refusal
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.settings.endpoint import EndpointSettings

if TYPE_CHECKING:
    import ssl

    from aiohttp import ClientHandlerType, ClientRequest, ClientResponse

KEEP_ALIVE = 4.0  # seconds; uvicorn, which many servers use, closes idle connections after 5
OPEN_FILES = 2**16
NO_CONNECTION = "Connection error."  # without details: a proxy's may contain its password

_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
Reply = tuple[int, Mapping[str, str], str]  # status, headers, text


class Transport:
    """Connections to one endpoint, kept open between requests, for one event loop.

    Proxies (``HTTPS_PROXY``, ``ALL_PROXY``, ``NO_PROXY``) and certificates (``SSL_CERT_FILE``,
    ``SSL_CERT_DIR``) are those of the environment.
    """

    def __init__(self, endpoint: EndpointSettings) -> None:
        """Raise a PersynError if the environment's proxy cannot be used."""
        parts = urlsplit(endpoint.url)
        path = f"{parts.path.rstrip('/')}/chat/completions"
        self._url, self._proxy = parts._replace(path=path).geturl(), proxy_of(endpoint.url)
        self._encrypted = "https" in (parts.scheme, urlsplit(self._proxy or "").scheme)
        self._seconds = endpoint.timeout_seconds
        self._headers = {
            "Authorization": f"Bearer {api_key(endpoint) or 'none'}",
            "Content-Type": "application/json",
            "Accept": "application/json",
            "User-Agent": f"persyn-kedro/{metadata.version('persyn-kedro')}",
        }
        self._extra = extra_headers(endpoint)

    async def __aenter__(self) -> Self:
        import aiohttp
        from yarl import URL

        self._origin = URL(self._url).origin()
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=0,  # ``AdaptiveLimit`` limits the requests
                ssl=_certificates() if self._encrypted else True,
                keepalive_timeout=KEEP_ALIVE,
            ),
            headers=self._headers,
            middlewares=[self._with_extra_headers] if self._extra else [],
            proxy=self._proxy,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(
                total=None, connect=self._seconds, sock_read=self._seconds
            ),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def _with_extra_headers(
        self, request: "ClientRequest", send: "ClientHandlerType"
    ) -> "ClientResponse":
        """Set the settings' headers, which may be secret, but not for another server.

        A redirect may lead to one; aiohttp itself does the same with ``Authorization``.
        """
        url, own = request.url, self._origin
        if url.origin() == own or (url.host, url.scheme) == (own.host, "https"):
            request.headers.update(self._extra)
        return await send(request)

    async def post(self, body: Mapping[str, Any]) -> Reply | Refusal:
        """Return the server's reply to a request, or a refusal if there is none."""
        import aiohttp

        no_connection = (aiohttp.ClientConnectorError, aiohttp.ClientHttpProxyError)
        try:
            data = _json(body).encode()
            # aiohttp has no timeout for a server that does not read the request.
            async with asyncio.timeout(3 * self._seconds):
                response = await self._session.post(self._url, data=data)
            async with response:
                return response.status, response.headers, await response.text(errors="replace")
        except TimeoutError as error:
            words = f"no answer within {self._seconds:g} s"
            charged = not isinstance(error, aiohttp.ConnectionTimeoutError)
            return Refusal(words, again=True, charged=charged)
        except aiohttp.ClientError as error:
            charged = not isinstance(error, no_connection)
            return Refusal(NO_CONNECTION, again=True, charged=charged)
        except Exception as error:  # whatever a server does, the other prompts continue
            words = str(error) or type(error).__name__
            return Refusal(words, again=True, charged=True)


def proxy_of(url: str) -> str | None:
    """Return the environment's proxy for a URL, if any.

    Raises:
        PersynError: it is not an HTTP proxy.
    """
    parts, proxies = urlsplit(url), getproxies()
    host = parts.hostname or ""
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if not proxy or proxy_bypass(host) or _in_a_network(host, proxies.get("no", "")):
        return None
    proxy = proxy if "://" in proxy else f"http://{proxy}"
    if not proxy.startswith(("http://", "https://")):
        kind = proxy.partition(":")[0]
        raise PersynError(
            f"The environment's proxy for {host} is a {kind} proxy, but only HTTP proxies are "
            f"supported: set HTTPS_PROXY to one, or add {host} to NO_PROXY."
        )
    return proxy


def _in_a_network(host: str, without: str) -> bool:
    """Return whether a host's address is in a network of NO_PROXY, such as 10.0.0.0/8."""
    with suppress(ValueError):
        address = ipaddress.ip_address(host)
        for network in without.replace(" ", "").split(","):
            with suppress(ValueError):
                if address in ipaddress.ip_network(network, strict=False):
                    return True
    return False


def _certificates() -> "ssl.SSLContext":
    """Trust the environment's certificates, or else the system's and certifi's."""
    import ssl

    import certifi

    context = ssl.create_default_context()
    if not (os.environ.get("SSL_CERT_FILE") or os.environ.get("SSL_CERT_DIR")):
        context.load_verify_locations(certifi.where())
    return context


def allow_open_files() -> None:
    """Raise this process's limit of open files, often 1,024, as each connection needs one."""
    with suppress(ImportError, ValueError, OSError):  # Windows has no such limit
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        most = OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES)
        if soft != resource.RLIM_INFINITY and soft < most:
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
