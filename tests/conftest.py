"""What all tests share: one thread a process, and examples that are the same in every CI run."""

import os

from hypothesis import settings

# Results and times must not depend on how many tests run side by side.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# New examples are looked for at the desk; CI repeats the same ones, so that it judges the change and not the dice.
settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("ci")
