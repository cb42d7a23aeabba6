"""Many drivers who register at once, and what each was answered."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence

from tests.support.client import Answer, Client
from tests.support.drivers import FIELDS, Driver

SECONDS = 60


class Crowd:
    """Registers `drivers` over some connections, in threads, from construction on.

    Each sends an `Idempotency-Key`, and the same again while the answer is 503.
    """

    def __init__(
        self,
        url: str,
        drivers: Sequence[Driver],
        connections: int = 8,
        moment: Callable[[], int] = lambda: 0,
    ):
        self._url = url
        self._moment = moment
        self._ends = False
        self.bodies: dict[int, bytes] = {}
        """Of who was answered 200, by id."""
        self.answered_at: dict[int, int] = {}
        """`moment` when they were."""
        self.statuses: Counter[int] = Counter()
        self.broken: list[OSError] = []
        """Why connections ended early."""
        self._threads = [
            threading.Thread(target=self._register, args=(drivers[some::connections],))
            for some in range(connections)
        ]
        for thread in self._threads:
            thread.start()

    def wait_for(self, count: int) -> None:
        """Until so many are registered."""
        until = time.monotonic() + SECONDS
        while len(self.bodies) < count and self._is_at_work and time.monotonic() < until:
            time.sleep(0.001)
        assert len(self.bodies) >= count, f"only {len(self.bodies)} registered: {self.statuses}"

    def join(self) -> None:
        """Until everyone is registered, or the service is gone."""
        for thread in self._threads:
            thread.join(SECONDS)
        self._ends = True
        assert not self._is_at_work, f"the crowd waits forever: {self.statuses}"

    @property
    def _is_at_work(self) -> bool:
        return any(thread.is_alive() for thread in self._threads)

    def _register(self, drivers: Sequence[Driver]) -> None:
        client = Client(self._url)
        try:
            for driver in drivers:
                answer = self._answer(client, driver)
                if answer.status == 200:
                    self.answered_at[driver.id] = self._moment()
                    self.bodies[driver.id] = answer.body
        except OSError as error:
            self.broken.append(error)
        client.close()

    def _answer(self, client: Client, driver: Driver) -> Answer:
        while True:
            key = {"idempotency-key": f"registration of {driver.id}"}
            answer = driver.send(client, "POST", FIELDS, key)
            self.statuses[answer.status] += 1
            if answer.status != 503 or self._ends:
                return answer
            time.sleep(0.02)
