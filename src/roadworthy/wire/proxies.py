"""Who asks, when proxies stand in between: by `X-Forwarded-For`, as far as it can be believed."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Networks = tuple[IPv4Network | IPv6Network, ...]

_OF_ONE_CLIENT = 64
"""The bits of an IPv6 address that name a network; the rest its client picks (RFC 4291, 2.5.4)."""

_OF_ONE_SITE = 48
"""Those that name the networks of one customer, at most (RFC 6177)."""


def client_behind(peer: str, forwarded_for: str, trusted: Networks) -> str:
    """The address nearest to us that is none of our proxies.

    Each proxy adds, at the end, whom it heard from: what stands before the first address that we
    do not trust, or before nonsense, anybody may have made up.
    """
    client = peer
    for entry in reversed(forwarded_for.split(",")):
        if not _is_among(client, trusted):
            break
        named = _address(entry)
        if named is None:
            break
        client = str(named)
    return client


def _is_among(client: str, trusted: Networks) -> bool:
    address = _address(client)
    return address is not None and any(address in network for network in trusted)


def _address(entry: str) -> IPv4Address | IPv6Address | None:
    """As proxies write it: bare, or with a port, an IPv6 one then in brackets."""
    entry = entry.strip()
    if entry.startswith("["):
        entry = entry[1:].partition("]")[0]
    elif entry.count(":") == 1:
        entry = entry.partition(":")[0]
    try:
        address = ip_address(entry)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def network_of(client: str) -> str:
    """What counts as one place: an IPv4 address, an IPv6 network."""
    return _network(client, _OF_ONE_CLIENT)


def site_of(client: str) -> str:
    """All that somebody may have to ask from: an IPv4 address, the IPv6 networks of a site."""
    return _network(client, _OF_ONE_SITE)


def _network(client: str, bits: int) -> str:
    try:
        address = ip_address(client)
    except ValueError:
        return client
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped:
            return str(address.ipv4_mapped)
        return str(ip_network((int(address), bits), strict=False))
    return str(address)
