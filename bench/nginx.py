"""nginx, which serves a folder and takes files into it: what moving files is measured against."""

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.databases import free_port
from bench.processes import Process
from bench.transfer import reachable

START_SECONDS = 10

_CONFIGURATION = """
{user}
daemon off;
worker_processes 1;
pid {folder}/pid;
error_log {folder}/errors;
events {{}}
http {{
    access_log off;
    sendfile on;
    client_max_body_size 100m;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
        root {folder}/files;
        dav_methods PUT;
        location /copied/ {{
            sendfile off;
            alias {folder}/files/;
        }}
    }}
}}
"""


@contextmanager
def nginx(folder: Path) -> Iterator[tuple[str, Path]]:
    """Its address, and the folder in which its files lie; one process that serves, as ours.

    What is below `/copied/` are the same files, sent as nginx does unless it is told to leave that
    to the kernel: read into memory, and written from there.
    """
    files = folder / "files"
    files.mkdir(parents=True)
    port = free_port()
    configuration = folder / "nginx.conf"
    user = "user root;" if os.geteuid() == 0 else ""  # it writes where we do
    configuration.write_text(_CONFIGURATION.format(user=user, folder=folder, port=port))
    command = [_program(), "-p", str(folder), "-c", str(configuration), "-e", f"{folder}/errors"]
    with Process.started(command) as process:
        deadline = time.monotonic() + START_SECONDS
        while not reachable(port):
            if process.popen.poll() is not None or time.monotonic() > deadline:
                raise ChildProcessError("nginx did not start")
            time.sleep(0.02)
        yield f"http://127.0.0.1:{port}", files


def _program() -> str:
    found = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if found is None:
        raise FileNotFoundError("nginx is not installed: apt-get install nginx")
    return found
