"""Server processes on sockets that outlive them.

Each process of Granian's accepts from a socket that the main process made and holds: what a client
sent is not lost with the process, but waits for the next one. A new certificate is taken up by new
processes. The old ones then accept no more, end each connection with the next answer on it, which
says so, and are told to stop when those that said nothing have run into their time limits.
"""

import asyncio
import contextlib
import ctypes
import itertools
import math
import multiprocessing
import os
import select
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
        self._ready: int | None = None
        self._retired: list[WorkerProcess] = []
        self._places: dict[int, WorkerProcess] = {}
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
        return self._load_application(partial(self._started, self._sockets[index].get_fd()))

    def _started(self, listener: int, application: Application) -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(_RETIRE, self._retire, listener, application)
        # The loop runs again only after Granian, which is between, listens.
        loop.call_later(_LISTENING_SECONDS, self._serves)

    def _serves(self) -> None:
        _end_with(self.pid, signal.SIGTERM)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        if self._ready is not None:
            os.write(self._ready, b".")
            os.close(self._ready)

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
        spec = ListenerSpec(self.bind_addr, self.bind_port, self.backlog)
        self._sockets = [spec.build() for _ in range(self.workers)]

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
        self._places[place] = worker
        return worker

    def _free_place(self) -> int:
        self._places = {place: each for place, each in self._places.items() if each.is_alive()}
        return next(place for place in itertools.count() if place not in self._places)

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
        ready, self._ready = os.pipe()
        successors: list[WorkerProcess] = []
        try:
            for index in range(self.workers):
                each = self._spawn_worker(index, target, None)
                each.interrupt_by_parent = True  # until it serves, its end is ours to notice
                each.start()
                successors.append(each)
            if self._wait_for(successors, ready):
                return successors
        except OSError:  # there is no room for another process
            pass
        finally:
            os.close(self._ready)
            os.close(ready)
            self._ready = None
        for each in successors:
            each.kill()
        return []

    def _wait_for(self, successors: list[WorkerProcess], ready: int) -> bool:
        until, count = time.monotonic() + START_SECONDS, 0
        while all(each.is_alive() for each in successors):
            if count == len(successors):
                return True
            if time.monotonic() > until or self.interrupt_signal:
                return False
            if select.select([ready], [], [], 0.1)[0]:
                count += len(os.read(ready, len(successors)))
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


def _note_if_expired(pair: Pair) -> None:
    if pair.expires < datetime.now(UTC):
        note("certificate has expired", expires=pair.expires)


def _port(opened: socket.socket) -> int | None:
    """At our end, of TCP."""
    if opened.family not in {socket.AF_INET, socket.AF_INET6}:
        return None
    port: int = opened.getsockname()[1]
    return port
