"""Those who use a fleet, from outside of it."""

import http.client
import random
import threading


def page(connection, path, method="GET", body=None, headers=None):
    """The status and the text of a page, or nothing."""
    try:
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read()
    except (OSError, http.client.HTTPException):
        return None, None
    finally:
        connection.close()


class Clients:
    """They ask until they are stopped, the same things in the same order each time that the seed is the same. `ask` takes a source of
    chance, asks once, and gives None where there was no answer."""

    def __init__(self, ask, seed, pause=0.08):
        self.ask, self.chance, self.pause = ask, random.Random(seed), pause
        self.asked = self.failed = 0
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._ask, daemon=True)
        self.thread.start()

    def _ask(self):
        while not self.ended.wait(self.pause * self.chance.uniform(0.5, 1.5)):
            self.asked += 1
            self.failed += self.ask(self.chance) is None

    def stop(self):
        self.ended.set()
        self.thread.join()
