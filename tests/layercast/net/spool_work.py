"""What a spool goes through in processes that are killed: run as a program with FOLDER RUNS.

Each works on a spool with a seeded mix of operations, notes each in FOLDER/RUN/done when it has returned, and is killed
by itself without warning between two lines of the spool's own code.
"""

import json
import os
import random
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Any

from codec.stream import Chunk, Header, Kind, write
from layercast.net import spool as module
from layercast.net.outbox import Budget
from layercast.net.spool import Spool

LIMIT = 5000
BUDGET = 60_000
LIVES = 4
LINES = 220  # of a life, about, in these functions
CRITICAL = {"_write", "add", "finish", "spend", "mark_delivered", "_make_room", "_recover", "_transaction"}
DAY = 20_000
NOW = DAY * 86_400.0


def stream(seed: int) -> bytes:
    """A container with all layers and noise in its chunks."""
    rng = random.Random(seed)
    kinds = [(Kind.CAPTION, 0, 12), (Kind.LATENT, 0, 19), (Kind.META, 0, 15), (Kind.EDGES, 0, 60)]
    kinds += [(Kind.LATENT, n, 90) for n in range(1, 5)] + [(Kind.RESIDUAL, n, 300) for n in range(rng.randrange(6))]
    chunks = [Chunk(kind, index, data := rng.randbytes(size), len(data)) for kind, index, size in kinds]
    return write(Header(80, 56, 3), chunks)


def work(folder: Path, seed: int, steps: int = 14) -> None:
    rng = random.Random(seed)
    with open(folder / "done", "a", buffering=1) as done:

        def tell(*fields: Any) -> None:
            done.write(json.dumps(fields) + "\n")

        spool = Spool(folder / "spool", LIMIT, rng.random() < 0.5, Budget(BUDGET))
        tell("opened")
        for step in range(steps):
            what = rng.choice(["add", "add", "add", "mark", "finish", "spend"])
            if what == "add":
                number = 1000 * seed + step
                tell("added", number, spool.add(stream(number), f"p{number}", NOW + step))
            elif what == "spend":
                size = rng.randrange(1, 1500)
                if spool.spend(size, NOW):
                    tell("spent", size)
            elif (first := spool.next()) is not None:
                if what == "finish":
                    tell("finishing", first.group)
                    spool.finish(first.group, NOW + step)
                    tell("finished", first.group)
                elif items := spool.parcel(first.group).items:
                    keys = [(item.cls, item.index) for item in items[:3]]
                    spool.mark_delivered(first.group, keys)
                    tell("marked", first.group, keys)


def kill_at(line: int) -> None:
    """This process ends when so many lines of the code that changes the disk have run."""
    left = line

    def trace(frame: FrameType, event: str, argument: object) -> Any:
        nonlocal left
        if frame.f_code.co_filename != module.__file__ or frame.f_code.co_name not in CRITICAL:
            return None
        if event == "line":
            left -= 1
            if left <= 0:
                os.kill(os.getpid(), signal.SIGKILL)
        return trace

    sys.settrace(trace)


def lives(folder: Path, seed: int) -> None:
    """Several processes, each of which goes on with what the one before left, to the moment of its own death."""
    rng = random.Random(seed)
    for life in range(LIVES):
        child = os.fork()
        if child == 0:
            kill_at(rng.randrange(1, LINES))
            work(folder, 100 * seed + life)
            os._exit(0)
        rng.random()
        _, status = os.waitpid(child, 0)
        (folder / f"status{life}").write_text(str(os.waitstatus_to_exitcode(status)))


if __name__ == "__main__":
    for run in range(int(sys.argv[2])):
        (Path(sys.argv[1]) / str(run)).mkdir()
        lives(Path(sys.argv[1]) / str(run), run)
