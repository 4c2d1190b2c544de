"""Ordinary life: what people and their tools do with a fleet, at which hour of which day."""

import threading
import time


class Life:
    """Goes on day after day until it is stopped. `of_day` gives what a day of that number has: hour, what it is, and how it is done."""

    def __init__(self, of_day, fleet, day_seconds, log):
        self.of_day, self.fleet, self.day_seconds, self.log = of_day, fleet, day_seconds, log
        self.done, self.ended = [], threading.Event()
        self.begin = time.time()
        self.thread = threading.Thread(target=self._live, daemon=True)
        self.thread.start()

    def _live(self):
        number = 0
        while not self.ended.is_set():
            number += 1
            for hour, what, do in self.of_day(number, self.fleet):
                at = self.begin + (number - 1 + hour / 24) * self.day_seconds
                if self.ended.wait(max(0, at - time.time())):
                    return
                self._do(number, what, do)
            self.ended.wait(max(0, self.begin + number * self.day_seconds - time.time()))

    def _do(self, number, what, do):
        begin, failed = time.time(), None
        try:
            do()
        except Exception as error:  # Life goes on, and the report says what failed.
            failed = str(error)
            self.log(f"day {number}: {what} failed: {failed}")
        self.done.append({"day": number, "what": what, "begin": begin, "end": time.time(), "failed": failed})

    def await_day(self, number):
        time.sleep(max(0, self.begin + (number - 1) * self.day_seconds - time.time()))

    def stop(self):
        self.ended.set()
        self.thread.join()
