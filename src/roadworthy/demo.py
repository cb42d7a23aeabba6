"""`roadworthy demo`: a service in a throwaway folder, and a driver who registers there."""

import http.client
import json
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from roadworthy.server import prepare, serve
from roadworthy.settings import PREFIX, load_settings

Echo = Callable[[str], None]

_USER = {"user": {"email": "driver@example.com", "password": "correct horse battery"}}
_PROFILE = {
    "profile": {
        "first_name": "Virgie",
        "last_name": "Luettgen",
        "postcode": "123",
        "start_date": "2020-03-20",
        "birth_date": "2000-03-20",
        "contact_phone_number": "07856 207372",
    }
}


def run(host: str, port: int, echo: Echo) -> None:
    """Serve, show a registration, and go on serving until stopped; the folder then goes.

    Raises `CannotServe`.
    """
    with tempfile.TemporaryDirectory(prefix="roadworthy-demo-") as folder:
        for name in [name for name in os.environ if name.startswith(PREFIX)]:
            del os.environ[name]
        os.environ[f"{PREFIX}DATA_DIR"] = folder
        prepare(load_settings())
        _log_to(Path(folder) / "log")
        serve(host, port, 1, lambda url: _show(url, folder, echo))


def _log_to(path: Path) -> None:
    """Keep the log out of what is shown."""
    with path.open("ab") as file:
        os.dup2(file.fileno(), sys.stderr.fileno())


def _show(url: str, folder: str, echo: Echo) -> None:
    echo(f"Roadworthy is ready at {url}; its data and log are in {folder} until you stop it.")
    echo("\n# A driver signs up.")
    token = _ask(echo, url, "POST", "/api/v1/users", _USER)
    echo("\n# The driver completes registration.")
    _ask(echo, url, "POST", "/api/v1/users/profile", _PROFILE, token)
    echo("\n# The driver looks at the profile.")
    _ask(echo, url, "GET", "/api/v1/users/profile", None, token)
    echo(f"\nNow try it yourself. The API is described at {url}/docs; press Ctrl-C to stop.")


def _ask(
    echo: Echo, url: str, method: str, path: str, body: object = None, token: str | None = None
) -> str | None:
    """Send a request, show it as curl and what came back; the token that came with it."""
    headers = {"Accept": "application/json"}
    if token:
        headers["Authorization"] = token
    content = None
    if body is not None:
        headers["Content-Type"] = "application/json"
        content = json.dumps(body)
    echo(_as_curl(method, url + path, headers, content))
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
    connection.request(method, path, content, headers)
    response = connection.getresponse()
    echo(f"HTTP/1.1 {response.status} {response.reason}")
    for name, value in response.getheaders():
        echo(f"{name}: {value}")
    echo("\n" + response.read().decode())
    connection.close()
    return response.getheader("authorization")


def _as_curl(method: str, url: str, headers: dict[str, str], content: str | None) -> str:
    parts = [f"curl -i -X {method} {url}"]
    parts += [f"  -H '{name}: {value}'" for name, value in headers.items()]
    if content is not None:
        parts.append(f"  -d '{content}'")
    return " \\\n".join(parts)
