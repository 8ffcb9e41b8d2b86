"""Tasks on a Ray cluster: the one place that knows Ray. Extra `cluster`.

Every machine of the cluster needs layercast installed and the files that tasks name at the same paths.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import click

Result = TypeVar("Result")
LOCAL = "local"


def cluster_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """--cluster, for commands that are worth many machines."""
    return click.option(
        "--cluster",
        metavar="[ADDRESS]",
        is_flag=False,
        flag_value=LOCAL,
        default=None,
        help="Run on a Ray cluster (extra `cluster`); without ADDRESS on a new one here; stands last.",
    )(command)


def spread(
    function: Callable[..., Result],
    tasks: Sequence[Sequence[Any]],
    address: str,
    workers: int | None,
    done: Callable[[], object],
) -> list[Result]:
    """`function(*task)` of every task, in their order; see `spread_as_done`. done: called after each task."""
    found: dict[int, Result] = {}
    for place, result in spread_as_done(function, tasks, address, workers):
        found[place] = result
        done()
    return [found[place] for place in range(len(tasks))]


def spread_as_done(
    function: Callable[..., Result], tasks: Sequence[Sequence[Any]], address: str, workers: int | None
) -> Iterator[tuple[int, Result]]:
    """(place, `function(*task)`) of every task, in the order in which they are done.

    address: of a cluster, or "local" for `workers` processes here (None: one a core). A task whose worker dies is done
    again, three times at most. ClickException without Ray or without a cluster at the address; an error of a task comes
    out as it is.
    """
    try:
        import ray
    except ImportError:
        raise click.ClickException("--cluster needs Ray; pip install 'layercast[cluster]'") from None
    try:
        if address == LOCAL:
            ray.init(num_cpus=workers, include_dashboard=False, log_to_driver=False)
        else:
            ray.init(address=address, log_to_driver=False)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise click.ClickException(f"no Ray cluster at {address}: {error}") from None
    try:
        remote = ray.remote(num_cpus=1, max_retries=3)(_one_thread)
        places = {remote.remote(function, task): place for place, task in enumerate(tasks)}
        waiting = list(places)
        while waiting:
            ready, waiting = ray.wait(waiting)
            for future in ready:
                yield places[future], _result(ray, future)
    finally:
        ray.shutdown()


def _one_thread(function: Callable[..., Result], task: Sequence[Any]) -> Result:
    """On a worker: one thread a task, since each has one core."""
    from layercast.bench.work import one_thread

    one_thread()
    return function(*task)


def _result(ray: Any, future: Any) -> Any:
    try:
        return ray.get(future)
    except ray.exceptions.RayTaskError as error:
        raise error.as_instanceof_cause() from None
