"""``python -m ncore.benchmark.nas``: train cells, and write their table."""

import sys

from ncore.benchmark.nas.cells import main

sys.exit(main())
