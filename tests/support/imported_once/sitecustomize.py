"""On the path of the runs that tests start: their models' processes come from one server.

A run's own server (``foundations.processes.fork_server``) imports the heavy libraries once, and
ends with the run. Tests start dozens of runs, which would each import the same; a server of
pytest's own has imported them once for all (``tests.support.fork_server``). A child gets the run's
output streams with its work; all else that it needs is in it already.
"""

import os

ADDRESS = "PERSYN_TESTS_FORK_SERVER"


def use(address: str | None) -> None:
    """Have ``multiprocessing`` fork from the server at this address, and start none."""
    from multiprocessing import forkserver, resource_tracker

    class Shared(forkserver.ForkServer):
        def ensure_running(self) -> None:
            resource_tracker.ensure_running()
            if self._forkserver_alive_fd is None:
                self._forkserver_address = address
                self._forkserver_alive_fd = os.open(os.devnull, os.O_RDONLY)

        def connect_to_new_process(self, fds: list[int]) -> tuple[int, int]:
            return super().connect_to_new_process([*fds, 1, 2])

    shared = forkserver._forkserver = Shared()
    for name in (
        "connect_to_new_process",
        "ensure_running",
        "get_inherited_fds",
        "set_forkserver_preload",
    ):
        setattr(forkserver, name, getattr(shared, name))


def serve(listener: int, alive: int, modules: list[str]) -> None:
    """Import what any step does with Transformers, and fork a child for each that asks."""
    from multiprocessing import forkserver

    one = forkserver._serve_one

    def with_its_streams(child: int, fds: list[int], *rest: object) -> int:
        *fds, out, err = fds
        for number, fd in ((1, out), (2, err)):
            os.dup2(fd, number)
            os.close(fd)
        return one(child, fds, *rest)

    use(None)  # its children ask as the runs do
    forkserver._serve_one = with_its_streams
    forkserver.main(listener, alive, modules)


if address := os.environ.get(ADDRESS):
    use(address)
