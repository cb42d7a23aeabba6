"""What sslscan finds."""

import re
import subprocess
from pathlib import Path
from urllib.parse import urlsplit
from xml.etree import ElementTree as ET

SSLSCAN = "/usr/bin/sslscan"
SECONDS = 120


def hold_nothing_weak(url: str, folder: Path) -> None:
    """TLS 1.2 and 1.3, authenticated ciphers with forward secrecy, and none of the known faults."""
    scan = _scanned(url, folder / "scan.xml")

    protocols = {(each.get("type"), each.get("version")): each for each in scan.iter("protocol")}
    enabled = {name for name, each in protocols.items() if each.get("enabled") == "1"}
    assert {("ssl", "2"), ("ssl", "3"), ("tls", "1.0"), ("tls", "1.1")} <= set(protocols)
    assert enabled == {("tls", "1.2"), ("tls", "1.3")}

    ciphers = [each.attrib for each in scan.iter("cipher")]
    assert {each["sslversion"] for each in ciphers} == {"TLSv1.2", "TLSv1.3"}
    for each in ciphers:
        assert each["strength"] in {"strong", "acceptable"}, each
        assert int(each["bits"]) >= 128, each
        assert re.search("GCM|CHACHA20", each["cipher"]), f"not authenticated: {each}"
        assert re.match("TLS_|ECDHE-", each["cipher"]), f"no forward secrecy: {each}"

    groups = [int(each.attrib["bits"]) for each in scan.iter("group")]
    assert groups
    assert min(groups) >= 112, groups

    for name in ("renegotiation", "compression"):
        found = {(each.get("supported"), each.get("secure")) for each in scan.iter(name)}
        assert found <= {("0", None), ("0", "0"), ("1", "1")}, f"{name}: {found}"
    vulnerable = {each.get("vulnerable") for each in scan.iter("heartbleed")}
    assert vulnerable == {"0"}


def _scanned(url: str, found: Path) -> ET.Element:
    subprocess.run(
        [SSLSCAN, f"--xml={found}", urlsplit(url).netloc],
        check=True,
        capture_output=True,
        timeout=SECONDS,
    )
    scan = ET.parse(found).getroot().find("ssltest")  # noqa: S314 -- we asked for it
    assert scan is not None, found.read_text()
    return scan
