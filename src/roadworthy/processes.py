"""Server processes on sockets that outlive them.

Each process of Granian's accepts from a socket that the main process made and holds: what a client
sent is not lost with the process, but waits for the next one. When one ends by itself, the log says
how, another takes its place, and the rest go on; the service ends only when none serves and none
comes to.

A new certificate is taken up by new processes. The old ones then accept no more, end each
connection with the next answer on it, which says so, and are told to stop when those that said
nothing have run into their time limits.
"""

import asyncio
import contextlib
import ctypes
import itertools
import math
import mmap
import multiprocessing
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeAlias

from granian._granian import ListenerSpec, SocketHolder
from granian.constants import SSLProtocols
from granian.server import MPServer
from granian.server.mp import WorkerProcess

from roadworthy.sockets import open_sockets
from roadworthy.telemetry import note, take_place
from roadworthy.tls import CannotUse, Pair, PairFiles, Watch, as_files, read_pair
from roadworthy.wire import Application

WATCH_SECONDS = 2
START_SECONDS = 60
RETRY_SECONDS = 60
YOUNG_SECONDS = 5
PAUSE_SECONDS = 1
"""Before who ended so young is followed by another."""
MOST_FAILURES = 3
"""How often, in a row, processes may end before any serves."""

_ON_PARENTS_DEATH = 1  # PR_SET_PDEATHSIG, prctl(2)
_RETIRE = signal.SIGUSR1
_LISTENING_SECONDS = 0.1
_LEFT_SECONDS = 0.5

Load: TypeAlias = Callable[[Callable[[Application], None]], Application]


class Processes(MPServer):
    """As many server processes as `workers`, each serving what `load` makes in it.

    What `load` is given is to be called on the event loop once that can serve. With `files`, they
    speak TLS. `announce` is called when all are on their way. Raises `CannotUse`.
    """

    pid: Any
    ssl_ctx: Any
    _shd: Any

    def __init__(
        self, load: Load, announce: Callable[[], None], files: PairFiles | None, **options: Any
    ):
        multiprocessing.set_start_method("fork", force=True)  # they inherit the sockets
        super().__init__("roadworthy", respawn_failed_workers=True, **options)
        self._load_application = load
        self._announce = announce
        self._sockets: list[SocketHolder] = []
        self._retired: list[WorkerProcess] = []
        self._places: dict[WorkerProcess, int] = {}
        self._have_served = mmap.mmap(-1, mmap.PAGESIZE)  # by place; all processes see it
        self._failures = 0
        self._files = files
        self._pair: Pair | None = None
        self._retry_at = math.inf
        if files:
            self._watch = Watch(files)
            self._use(read_pair(files))

    def run(self) -> None:
        """Serve until SIGTERM or SIGINT. Raises `SystemExit` when the processes keep failing."""
        self.serve()

    # What a server process does

    def _load(self, index: int, place: int) -> Application:
        take_place(place)
        for unwanted in (signal.SIGHUP, _RETIRE):  # the first is for the main process
            signal.signal(unwanted, signal.SIG_IGN)
        _end_with(self.pid, signal.SIGKILL)
        # Between having caught it and listening, Granian would forget that it is to stop.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        for other, holder in enumerate(self._sockets):
            if other != index:
                os.close(holder.get_fd())
        return self._load_application(partial(self._started, self._sockets[index].get_fd(), place))

    def _started(self, listener: int, place: int, application: Application) -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(_RETIRE, self._retire, listener, application)
        # The loop runs again only after Granian, which is between, listens.
        loop.call_later(_LISTENING_SECONDS, self._serves, place)

    def _serves(self, place: int) -> None:
        _end_with(self.pid, signal.SIGTERM)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        self._have_served[place] = True

    def _retire(self, listener: int, application: Application) -> None:
        """Accept no more: the descriptor becomes that of a socket that nobody knows."""
        application.retire()
        with socket.socket(socket.AF_UNIX) as nobodys:
            nobodys.bind("")  # to a name that the kernel makes up
            nobodys.listen(1)
            nobodys.settimeout(0)
            os.dup2(nobodys.fileno(), listener, inheritable=False)
        self._stop_when_left()

    def _stop_when_left(self) -> None:
        if any(_port(each) == self.bind_port for each in open_sockets()):
            asyncio.get_running_loop().call_later(_LEFT_SECONDS, self._stop_when_left)
        else:
            os.kill(os.getpid(), signal.SIGTERM)

    # What the main process does

    def _init_shared_socket(self) -> None:
        self._ssp, self._sso = None, None
        self._sockets = [self._new_socket() for _ in range(self.workers)]

    def _new_socket(self) -> SocketHolder:
        return ListenerSpec(self.bind_addr, self.bind_port, self.backlog).build()

    def _drop_shared_socket(self) -> None:
        for holder in self._sockets:
            os.close(holder.get_fd())

    def startup(self, spawn_target: Any, target_loader: Any) -> None:
        """Start the server processes, and only then the thread that watches the certificate.

        A process forked while a thread holds a lock would find it locked for ever.
        """
        super().startup(spawn_target, target_loader)  # type: ignore[no-untyped-call]
        self._announce()
        if self._files and self._pair:
            _note_if_expired(self._pair)
            threading.Thread(target=self._watch_files, name="certificate", daemon=True).start()

    def _spawn_worker(  # type: ignore[override] # as `MPServer` has it
        self,
        idx: int,
        target: Any,
        callback_loader: Any,  # noqa: ARG002
    ) -> WorkerProcess:
        self._shd, place = self._sockets[idx], self._free_place()
        worker = super()._spawn_worker(idx, target, partial(self._load, idx, place))
        self._places[worker] = place
        self._have_served[place] = False
        return worker

    def _free_place(self) -> int:
        self._places = {
            each: place
            for each, place in self._places.items()
            if each.is_alive() or each in self.wrks  # whose end has yet to be noticed
        }
        return next(each for each in itertools.count() if each not in self._places.values())

    def _has_served(self, worker: WorkerProcess) -> bool:
        return bool(self._have_served[self._places[worker]])

    def _respawn_workers(
        self,
        workers: list[int],  # noqa: ARG002 -- as `MPServer` has it
        spawn_target: Any,
        target_loader: Any,  # noqa: ARG002
        delay: float = 0,  # noqa: ARG002
    ) -> None:
        """Others in the place of those that ended by themselves."""
        if any(time.monotonic() - each.birth < YOUNG_SECONDS for each in self._ended()):
            self._pause()
        if ended := self._ended():
            for each in ended:
                _note_end(each)
            if self._is_served(ended):
                self._divert(ended)
            for each in ended:
                self._follow(each.idx, spawn_target)
        if self.interrupt_signal:  # it came before it was cleared
            self.main_loop_interrupt.set()

    def _ended(self) -> list[WorkerProcess]:
        return [each for each in self.wrks if not each.is_alive()]

    def _is_served(self, ended: list[WorkerProcess]) -> bool:
        """By others than `ended`. Ends the service when none serves and none comes to."""
        is_served = any(self._has_served(each) for each in self.wrks if each.is_alive())
        failed = not is_served and not any(map(self._has_served, ended))
        self._failures = self._failures + 1 if failed else 0
        if self._failures == MOST_FAILURES:
            self.shutdown(1)  # type: ignore[no-untyped-call]
        return is_served

    def _divert(self, ended: list[WorkerProcess]) -> None:
        """Have clients of those that do not even come to serve go to who serves.

        Nobody is sent to a new socket before somebody listens there.
        """
        for each in ended:
            if not self._has_served(each):
                os.close(self._sockets[each.idx].get_fd())
                self._sockets[each.idx] = self._new_socket()

    def _follow(self, index: int, target: Any) -> None:
        while not self.interrupt_signal:
            worker = self._spawn_worker(index, target, None)
            try:
                worker.start()
            except OSError as error:  # there is no room for another process
                note("server process not started", reason=error.strerror)
                self._pause()
            else:
                self.wrks[index] = worker
                return

    def _pause(self) -> None:
        until = time.monotonic() + PAUSE_SECONDS
        while time.monotonic() < until and not self.interrupt_signal:
            time.sleep(0.05)

    def _watch_files(self) -> None:
        while True:
            time.sleep(WATCH_SECONDS)
            if self._watch.changed() or time.monotonic() > self._retry_at:
                os.kill(os.getpid(), signal.SIGHUP)

    def _reload(self, spawn_target: Any, _: Any) -> None:
        """On SIGHUP, and when the files have changed."""
        self.reload_signal = False
        self.main_loop_interrupt.clear()
        self._retry_at = math.inf
        if pair := self._new_pair():
            self._renew(pair, spawn_target)
        if self.interrupt_signal or self.interrupt_children:  # it came before it was cleared
            self.main_loop_interrupt.set()

    def _new_pair(self) -> Pair | None:
        if self._files is None:
            return None
        try:
            pair = read_pair(self._files)
        except CannotUse as unusable:
            note("certificate refused", reason=str(unusable))
            return None
        return None if pair == self._pair else pair

    def _renew(self, pair: Pair, target: Any) -> None:
        before = self._pair
        self._use(pair)
        if successors := self._started_successors(target):
            self._succeed(successors)
            note("certificate renewed", expires=pair.expires)
            _note_if_expired(pair)
        elif before:
            self._use(before)
            if not self.interrupt_signal:
                self._retry_at = time.monotonic() + RETRY_SECONDS
                note("certificate refused", reason="no server process starts now; tried again soon")

    def _use(self, pair: Pair) -> None:
        for name in self.ssl_ctx[1:3]:
            if name:
                os.close(int(name.rpartition("/")[2]))
        certificate, key = as_files(pair)
        minimum = str(SSLProtocols.tls12)
        self.ssl_ctx = (True, str(certificate), str(key), None, minimum, None, [], False)
        self._pair = pair

    def _started_successors(self, target: Any) -> list[WorkerProcess]:
        """New processes that serve; none when one does not, or when it is time to stop."""
        successors: list[WorkerProcess] = []
        with contextlib.suppress(OSError):  # there is no room for another process
            for index in range(self.workers):
                each = self._spawn_worker(index, target, None)
                each.interrupt_by_parent = True  # until it serves, its end is ours to notice
                each.start()
                successors.append(each)
            if self._come_to_serve(successors):
                return successors
        for each in successors:
            each.kill()
        return []

    def _come_to_serve(self, successors: list[WorkerProcess]) -> bool:
        until = time.monotonic() + START_SECONDS
        while all(each.is_alive() for each in successors):
            if all(map(self._has_served, successors)):
                return True
            if time.monotonic() > until or self.interrupt_signal:
                return False
            time.sleep(0.05)
        return False

    def _succeed(self, successors: list[WorkerProcess]) -> None:
        self.wrks, predecessors = successors, self.wrks
        for each in predecessors:
            self._send_off(each)
        self.interrupt_children.clear()  # those of before, if any
        for each in successors:
            each.interrupt_by_parent = False
            if not each.is_alive() and each.idx not in self.interrupt_children:
                self.interrupt_children.append(each.idx)

    def _send_off(self, worker: WorkerProcess) -> None:
        worker.interrupt_by_parent = True
        with contextlib.suppress(ProcessLookupError):
            os.kill(worker.inner.pid, _RETIRE)
        self._retired = [*(each for each in self._retired if each.is_alive()), worker]

    def _stop_workers(self) -> None:
        self.wrks += [each for each in self._retired if each.is_alive()]
        super()._stop_workers()  # type: ignore[no-untyped-call]


def _end_with(main: int, how: signal.Signals) -> None:
    """Be sent `how` when the process `main`, which started this one, ends."""
    ctypes.CDLL(None).prctl(_ON_PARENTS_DEATH, how)
    if os.getppid() != main:  # it ended before that
        os.kill(os.getpid(), how)


def _note_end(worker: WorkerProcess) -> None:
    status = worker.inner.exitcode or 0
    how = {"signal": _name(-status)} if status < 0 else {"status": status}
    note("server process ended", pid=worker.inner.pid, **how)


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a realtime signal
        return str(number)


def _note_if_expired(pair: Pair) -> None:
    if pair.expires < datetime.now(UTC):
        note("certificate has expired", expires=pair.expires)


def _port(opened: socket.socket) -> int | None:
    """At our end, of TCP."""
    if opened.family not in {socket.AF_INET, socket.AF_INET6}:
        return None
    port: int = opened.getsockname()[1]
    return port
