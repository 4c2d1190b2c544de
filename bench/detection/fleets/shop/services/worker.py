"""Runs jobs as cron does: every hour the one, every night the other."""

import os
import subprocess
import time

hour = 0
while True:
    time.sleep(float(os.environ["HOUR"]))
    hour += 1
    subprocess.run(["sh", "/jobs/hourly.sh"])
    if hour % 24 == 3:
        subprocess.run(["sh", "/jobs/nightly.sh"])
