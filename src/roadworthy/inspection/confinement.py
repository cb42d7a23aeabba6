"""What a process that parses a hostile file may still do: compute, for a while, and little else.

Everything here is kept until the process ends: it cannot be undone from inside.
"""

import contextlib
import ctypes
import platform
import resource
import signal
import struct
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_SET_SECCOMP = 22
_PR_SET_NO_NEW_PRIVS = 38
_SECCOMP_MODE_FILTER = 2

MOST_OPEN_FILES = 64
MOST_WRITTEN_BYTES = 256 * 1024 * 1024

_LIBC = ctypes.CDLL(None, use_errno=True)


def confine(memory_bytes: int, cpu_seconds: int) -> None:
    """Limit this process, and leave it only the descriptors it has."""
    _first_to_go_when_memory_is_short()
    _limit(resource.RLIMIT_AS, memory_bytes)
    _limit(resource.RLIMIT_CPU, cpu_seconds)
    _limit(resource.RLIMIT_FSIZE, MOST_WRITTEN_BYTES)
    _limit(resource.RLIMIT_NOFILE, MOST_OPEN_FILES)
    _limit(resource.RLIMIT_CORE, 0)
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    _prctl(_PR_SET_DUMPABLE, 0)
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    _shut_ways_out()


def can_shut_ways_out() -> bool:
    """Whether system calls can be refused here; else the limits have to do."""
    return platform.machine() in _MACHINES and _FILTERS.exists()


def _first_to_go_when_memory_is_short() -> None:
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")


def _limit(what: int, most: int) -> None:
    _, hard = resource.getrlimit(what)
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(what, (most, most))


def _prctl(option: int, *values: int) -> bool:
    arguments = [ctypes.c_ulong(value) for value in (*values, 0, 0, 0, 0)[:4]]
    return bool(_LIBC.prctl(option, *arguments) == 0)


# x86-64 and ARM64 numbers, from the kernel's syscall tables; None where there is no such call.
_WAYS_OUT: dict[str, tuple[int | None, int | None]] = {
    "open": (2, None),
    "creat": (85, None),
    "openat": (257, 56),
    "openat2": (437, 437),
    "open_by_handle_at": (304, 265),
    "socket": (41, 198),
    "connect": (42, 203),
    "bind": (49, 200),
    "execve": (59, 221),
    "execveat": (322, 281),
    "kill": (62, 129),
    "tkill": (200, 130),
    "tgkill": (234, 131),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
    "setpriority": (141, 140),
    "ioprio_set": (251, 30),
    "sched_setparam": (142, 118),
    "sched_setscheduler": (144, 119),
    "sched_setaffinity": (203, 122),
    "sched_setattr": (314, 274),
    "migrate_pages": (256, 238),
    "move_pages": (279, 239),
    "process_madvise": (440, 440),
    "kcmp": (312, 272),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "pidfd_open": (434, 434),
    "pidfd_getfd": (438, 438),
    "pidfd_send_signal": (424, 424),
    "setsid": (112, 157),
    "setpgid": (109, 154),
    "prlimit64": (302, 261),
    "unlink": (87, None),
    "unlinkat": (263, 35),
    "rename": (82, None),
    "renameat": (264, 38),
    "renameat2": (316, 276),
    "link": (86, None),
    "linkat": (265, 37),
    "symlink": (88, None),
    "symlinkat": (266, 36),
    "mkdir": (83, None),
    "mkdirat": (258, 34),
    "rmdir": (84, None),
    "mknod": (133, None),
    "mknodat": (259, 33),
    "truncate": (76, 45),
    "chmod": (90, None),
    "fchmod": (91, 52),
    "fchmodat": (268, 53),
    "fchmodat2": (452, 452),
    "chown": (92, None),
    "fchown": (93, 55),
    "lchown": (94, None),
    "fchownat": (260, 54),
    "utime": (132, None),
    "utimes": (235, None),
    "futimesat": (261, None),
    "utimensat": (280, 88),
    "setxattr": (188, 5),
    "lsetxattr": (189, 6),
    "fsetxattr": (190, 7),
    "setxattrat": (463, 463),
    "removexattr": (197, 14),
    "lremovexattr": (198, 15),
    "fremovexattr": (199, 16),
    "removexattrat": (466, 466),
    "name_to_handle_at": (303, 264),
    "inotify_add_watch": (254, 27),
    "fanotify_init": (300, 262),
    "chroot": (161, 51),
    "pivot_root": (155, 41),
    "umount2": (166, 39),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "mount_setattr": (442, 442),
    "shmget": (29, 194),
    "shmat": (30, 196),
    "msgget": (68, 186),
    "semget": (64, 190),
    "mq_open": (240, 180),
    "mq_unlink": (241, 181),
    "mount": (165, 40),
    "unshare": (272, 97),
    "setns": (308, 268),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
}
_MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}

_LOAD = 0x20  # the 32 bits of seccomp_data at an offset
_JUMP_IF_EQUAL = 0x15
_JUMP_IF_AT_LEAST = 0x35
_RETURN = 0x06
_OFFSET_OF_NUMBER, _OFFSET_OF_MACHINE = 0, 4
_FILTERS = Path("/proc/sys/kernel/seccomp")
_X32 = 0x40000000  # x86-64's calls by other numbers
_KILL, _ALLOW, _REFUSE = 0x80000000, 0x7FFF0000, 0x00050000 | 1  # errno 1: EPERM


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def _shut_ways_out() -> None:
    """Refuse system calls that reach other files, processes or machines (seccomp(2)).

    Raises `OSError` when the kernel takes no filter though it has them.
    """
    if not can_shut_ways_out():
        return
    column, machine = _MACHINES[platform.machine()]
    numbers = [calls[column] for calls in _WAYS_OUT.values()]
    program = _filter(machine, [number for number in numbers if number is not None])
    holder = _Program(len(program) // 8, program)
    if not _prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.addressof(holder)):
        raise OSError(ctypes.get_errno(), "system calls cannot be refused")


def _filter(machine: int, refused: list[int]) -> bytes:
    """A classic BPF program; jumps count the instructions that they leave out."""
    refuse_is_after = len(refused) + 1
    return b"".join(
        (
            _instruction(_LOAD, _OFFSET_OF_MACHINE),
            _instruction(_JUMP_IF_EQUAL, machine, then=1),
            _instruction(_RETURN, _KILL),
            _instruction(_LOAD, _OFFSET_OF_NUMBER),
            _instruction(_JUMP_IF_AT_LEAST, _X32, then=refuse_is_after),
            *(
                _instruction(_JUMP_IF_EQUAL, number, then=len(refused) - place)
                for place, number in enumerate(refused)
            ),
            _instruction(_RETURN, _ALLOW),
            _instruction(_RETURN, _REFUSE),
        )
    )


def _instruction(code: int, value: int, then: int = 0) -> bytes:
    return struct.pack("=HBBI", code, then, 0, value)
