"""A driver who goes on using the service while something else is done to it."""

import itertools
import json
import threading
from collections import Counter
from types import TracebackType
from typing import Self

from tests.support.client import Client
from tests.support.drivers import PASSWORD, Driver


class Bystander:
    """Changes and reads `driver`'s profile and address, and signs others up, until left."""

    def __init__(self, url: str, driver: Driver):
        self._url = url
        self._driver = driver
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._work)
        self.statuses: Counter[tuple[str, int]] = Counter()
        self.broken: OSError | None = None
        """Why the connection ended early."""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._ends.set()
        self._thread.join()

    def _work(self) -> None:
        client = Client(self._url)
        try:
            for number in itertools.count():
                if self._ends.wait(0.01):
                    return
                changed = self._driver.send(client, "PATCH", {"bio": f"Day {number}"})
                self.statuses["PATCH", changed.status] += 1
                self.statuses["GET", self._driver.send(client, "GET").status] += 1
                if number % 20 == 0:
                    self.statuses["sign up", self._sign_up(client, number)] += 1
                    self.statuses["another address", self._move(client, number)] += 1
        except OSError as error:
            self.broken = error
        finally:
            client.close()

    def _sign_up(self, client: Client, number: int) -> int:
        email = f"bystander{number}.{self._driver.email}"
        body = json.dumps({"user": {"email": email, "password": PASSWORD}})
        headers = {"content-type": "application/json"}
        return client.send("POST", "/api/v1/users", headers, body).status

    def _move(self, client: Client, number: int) -> int:
        fields = {"email": f"moved{number}.{self._driver.email}", "current_password": PASSWORD}
        headers = {**self._driver.signed, "content-type": "application/json"}
        return client.send("PATCH", "/api/v1/users", headers, json.dumps({"user": fields})).status
