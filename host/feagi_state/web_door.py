"""Who may come in: what a request has to say so that it is the page's own, and not that of another site in the same
browser.

Any page of any site can send requests to this computer, and connect WebSockets to it. It does not know the token. It
cannot lie in `Origin`. And where it gave this computer's address to a name of its own (DNS rebinding), that name is in
`Host`.
"""

from __future__ import annotations

import hmac
import ipaddress
import secrets
import socket
from collections.abc import Sequence
from typing import Final
from urllib.parse import parse_qs

__all__ = ["DEFAULT_PORT", "Door", "is_loopback", "parse_address"]

DEFAULT_PORT: Final = 8765
_LOOPBACK: Final = "127.0.0.1"
_LOOPBACK_NAMES: Final = frozenset((_LOOPBACK, "localhost", "[::1]"))


def parse_address(text: str) -> tuple[str, int]:
    """(host, port) of [HOST:]PORT, by default of this computer alone; an IPv6 address is in brackets. Raises
    ValueError.
    """
    host, _, port = text.rpartition(":")
    is_named = host == "" or ":" not in host or (host.startswith("[") and host.endswith("]"))
    if not is_named or not port.isascii() or not port.isdigit() or int(port) > 0xFFFF:
        raise ValueError(f"{text!r} is no [HOST:]PORT, as in 8765, 0.0.0.0:8765 or [::1]:8765")
    return host.strip("[]") or _LOOPBACK, int(port)


def is_loopback(host: str) -> bool:
    """Whether only this computer reaches this address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Door:
    """What requests to one server are measured by. Any thread."""

    def __init__(self, host: str, port: int) -> None:
        """The server's address. The token is another one at every start."""
        self._port = port
        self._shown = f"[{host}]" if ":" in host else host
        self._is_anywhere = host in ("0.0.0.0", "::")
        self._names = {self._shown.lower()}
        if is_loopback(host) or self._is_anywhere:
            self._names |= _LOOPBACK_NAMES
        if self._is_anywhere:
            self._names.add(socket.gethostname().lower())
        self._token = secrets.token_urlsafe(24)

    @property
    def url(self) -> str:
        """What a browser is to be given."""
        # A socket of IPv6 has that alone.
        here = self._shown.replace("::", "::1") if ":" in self._shown else _LOOPBACK
        return f"http://{here if self._is_anywhere else self._shown}:{self._port}/?token={self._token}"

    def wrong_host(self, hosts: Sequence[str]) -> str:
        """What is wrong with the request's `Host` headers, "" if nothing is."""
        if len(hosts) == 1 and self._is_ours(hosts[0]):
            return ""
        return f"This server is not called {', '.join(hosts) or 'nothing'}: open the address that it printed."

    def wrong_origin(self, origins: Sequence[str], hosts: Sequence[str]) -> str:
        """What is wrong with the request's `Origin` headers. One without any is no page's: browsers send it with every
        WebSocket, and with whatever goes to another site.
        """
        if not origins or list(origins) == [f"http://{host}" for host in hosts]:
            return ""
        return f"A page from {', '.join(origins)} may not use this server: open the address that it printed."

    def wrong_token(self, query: str) -> str:
        """What is wrong with the token in the URL's query."""
        given = parse_qs(query, max_num_fields=8).get("token", [""]) if query.count("&") < 8 else [""]
        if len(given) == 1 and hmac.compare_digest(given[0].encode("utf-8", "replace"), self._token.encode()):
            return ""
        return "The token in the address is missing, or of an earlier start: open the address that the server printed."

    def _is_ours(self, host: str) -> bool:
        name, _, port = host.lower().rpartition(":")
        if port != str(self._port):
            name, port = host.lower(), "80"
        return port == str(self._port) and (name in self._names or (self._is_anywhere and _is_address(name)))


def _is_address(name: str) -> bool:
    """Whether it is an address and no name, which a site cannot have given to this computer."""
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True
