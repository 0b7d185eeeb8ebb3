"""One thread a process: results and times must not depend on how many tests run side by side."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
