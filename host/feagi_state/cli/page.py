"""The options by which a command shows its boards in a browser too."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from .app import CommandError, UsageError, say

if TYPE_CHECKING:
    from ..device import Device

Http = Annotated[bool, typer.Option("--http", help="show a page in a browser too; its address is printed")]
HttpAt = Annotated[
    Optional[str],
    typer.Option(
        "--http-at",
        metavar="[HOST:]PORT",
        help="the same at another address than 127.0.0.1:8765; port 0 is a free one",
    ),
]


@contextmanager
def page(devices: "Callable[[], Iterable[Device]]", http: bool, address: Optional[str]) -> Iterator[Optional[str]]:
    """The page of these boards as long as it lasts: its URL, None where none is wanted. Raises CommandError."""
    if not http and address is None:
        yield None
        return
    try:
        from ..web_server import WebServer
    except ImportError as error:
        raise CommandError(f'a page needs the package websockets ({error}): pip install "feagi-state[http]"') from None
    from ..web_door import DEFAULT_PORT, is_loopback, parse_address

    try:
        host, _ = parse_address(address or str(DEFAULT_PORT))
        server = WebServer(devices, address or str(DEFAULT_PORT))
    except ValueError as error:
        raise UsageError(f"--http-at: {error}") from None
    with server:
        if not is_loopback(host):
            say(
                f"warning: {host} is reached from other computers; whoever sees the address below can read the boards' "
                "state and change it, and nothing on the way is encrypted"
            )
        yield server.url
