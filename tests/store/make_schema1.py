"""Made the runs in ``schema1``, once, with the last code that wrote that schema.

    git worktree add ../schema1 cc8854b
    cd ../schema1 && PYTHONPATH=. python ../HERE/tests/store/make_schema1.py ../HERE/tests/store/schema1

Three runs: ``finished``; ``closed``, left interrupted; ``killed``, whose process died as it wrote an epoch.
"""

import os
import signal
import socket
import sys

from ncore.store import SCHEMA_VERSION, create_store
from tests.store.data import record, write

ROWS, EPOCHS = 12, 5


def main(place: str) -> None:
    """Make the store."""
    assert SCHEMA_VERSION == 1
    socket.gethostname = lambda: "another-machine"
    store = create_store(place)
    record(store, EPOCHS, ROWS, run_id="finished", candidate="finished", notes="of schema 1")
    record(store, EPOCHS, ROWS, run_id="closed", candidate="closed", finish=False, planned_epochs=9)
    about = {"candidate": "killed", "dataset": "digits", "seed": 0, "mode": "unit", "run_id": "killed"}
    if not os.fork():
        writer = store.new_run(**about, planned_epochs=9)
        for epoch in range(EPOCHS):
            write(writer, epoch, ROWS)
            writer.save_checkpoint(b"state %d" % epoch)
        replace = os.replace

        def dying(source: str, target: str) -> None:
            if target.endswith("run.json"):
                os.kill(os.getpid(), signal.SIGKILL)
            replace(source, target)

        os.replace = dying
        write(writer, EPOCHS, ROWS)
    os.wait()


if __name__ == "__main__":
    main(sys.argv[1])
