"""The address of a server, `HOST:PORT`: whether it can be one, and whether what goes there passes through a network."""

import logging
import re
from ipaddress import IPv6Address, ip_address

from mi_keras.errors import InputError

_ADDRESS = re.compile(r"(?:\w+://)?(?:\[(?P<ipv6>[^]]+)]|(?P<host>[^][:/?#@\s]+)):(?P<port>[0-9]{1,5})/?")
_warned: set[str] = set()


def host_of(server: str) -> str:
    """Return the host of an address, which may have `SCHEME://` before it and its IPv6 address in brackets.

    Raises:
        InputError: it is no address, or no name that can be looked up.
    """
    match = _ADDRESS.fullmatch(server)
    if match is None or not 0 < int(match["port"]) < 65536:
        raise InputError(f"`server` must be HOST:PORT; got {server}.")
    try:
        if match["ipv6"]:
            return str(IPv6Address(match["ipv6"]))
        match["host"].encode("idna")  # as every look-up does; only there it would be a traceback
    except ValueError:
        raise InputError(
            f"`server` must be HOST:PORT, where HOST has labels of 1 to 63 characters or is [IPv6]; got {server}."
        ) from None
    return match["host"]


def warn_of_plain_text(server: str) -> None:
    """Say, once an address, that what is sent there can be read on the way."""
    host = host_of(server)
    try:
        near = ip_address(host).is_loopback
    except ValueError:
        near = host == "localhost"
    if not near and not server.startswith("https://") and server not in _warned:
        _warned.add(server)
        logging.getLogger(__name__).warning(
            "%s is another machine: outputs and images travel there in plain text. An SSH tunnel to its loopback "
            "address keeps them private.",
            server,
        )
