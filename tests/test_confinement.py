"""What a process that parses may do once it is confined, as one that was taken over would try."""

import platform
import subprocess
import sys

import pytest

CONFINED = """
import ctypes, os, resource, signal, socket, subprocess, sys
from pathlib import Path
from roadworthy.inspection.confinement import confine

def ask(number, *arguments):
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(number, *arguments) < 0:
        raise OSError(ctypes.get_errno(), "")

readable = open(sys.argv[1], "rb")
confine(memory_bytes=300 * 1024 * 1024, cpu_seconds=1)
assert readable.read(1) == b"x"
{attempt}
"""

pytestmark = pytest.mark.skipif(
    platform.machine() not in {"x86_64", "aarch64"}, reason="its system calls have other numbers"
)

NOT_PERMITTED = [
    "open(sys.argv[1])",
    "open(sys.argv[1] + '-2', 'w')",
    "Path(sys.argv[1]).unlink()",
    "Path(sys.argv[1]).rename('/tmp/x')",
    "os.truncate(sys.argv[1], 0)",
    "os.chmod(sys.argv[1], 0o777)",
    "os.chmod(0, 0o777)",
    "os.chown(sys.argv[1], 0, 0)",
    "os.chown(0, 0, 0)",
    "os.lchown(sys.argv[1], 0, 0)",
    "os.listdir('/')",
    "socket.socket()",
    "socket.socket(socket.AF_UNIX)",
    "os.kill(os.getppid(), 0)",
    "signal.pthread_kill(__import__('threading').get_ident(), 0)",
    "os.setpriority(os.PRIO_PROCESS, os.getppid(), 10)",
    "os.sched_setaffinity(os.getppid(), {0})",
    "os.utime(sys.argv[1])",
    "os.setxattr(sys.argv[1], 'user.x', b'')",
    "os.setxattr(0, 'user.x', b'')",
    "os.removexattr(0, 'user.x')",
    "os.chroot('/')",
    "os.pidfd_open(os.getppid())",
    "os.execv('/bin/true', ['true'])",
    "os.setsid()",
    "resource.prlimit(os.getppid(), resource.RLIMIT_NOFILE)",
]
BY_NUMBER = {
    "rt_sigqueueinfo": "ask(129, os.getppid(), 0, (ctypes.c_char * 128)())",
    "rt_tgsigqueueinfo": "ask(297, os.getppid(), os.getppid(), 0, (ctypes.c_char * 128)())",
    "fchmodat2": "ask(452, -100, sys.argv[1].encode(), 0o777, 0)",
}
"""What Python has no function for, as x86-64 numbers it."""
if platform.machine() == "x86_64":
    NOT_PERMITTED += BY_NUMBER.values()


def confined(attempt: str, path: object) -> "subprocess.CompletedProcess[str]":
    script = CONFINED.format(attempt=attempt)
    return subprocess.run(
        [sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=False
    )


@pytest.fixture
def path(tmp_path_factory: pytest.TempPathFactory) -> object:
    path = tmp_path_factory.mktemp("confined") / "file"
    path.write_text("x")
    return path


@pytest.mark.parametrize("attempt", NOT_PERMITTED)
def test_it_reaches_nothing_and_nobody(attempt: str, path: object) -> None:
    guarded = f"""
try:
    {attempt}
except PermissionError:
    print("not permitted")
"""
    assert confined(guarded, path).stdout == "not permitted\n", confined(guarded, path).stderr


def test_it_computes(path: object) -> None:
    assert confined("print(sum(range(100_000)))", path).stdout == "4999950000\n"


def test_it_gets_no_more_memory(path: object) -> None:
    ended = confined("bytes(400 * 1024 * 1024)", path)

    assert ended.returncode == 1
    assert "MemoryError" in ended.stderr


def test_it_gets_no_more_time(path: object) -> None:
    assert confined("while True: pass", path).returncode < 0


def test_its_memory_is_read_by_nobody(path: object) -> None:
    dumpable = "print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))"

    assert confined(dumpable, path).stdout == "0\n"
