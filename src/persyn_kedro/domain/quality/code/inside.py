"""Runs inside the sandbox: one answer's code against its tests (METHOD.md, section 1, "Code").

``sandbox.py`` passes this file's source to ``python -c``, with a job in two parts on stdin, each
JSON after its size. It prints "ready", then for each test 1 (passed) or 0, a line each.

Each test runs in a process forked for it, so that it starts afresh and may die, by one that was
forked before the second part was read: what is expected was never in their memory, except where a
test is code itself.
"""

import bisect
import builtins
import collections
import ctypes
import functools
import heapq
import itertools
import json
import math
import operator
import os
import platform
import random
import re
import resource
import shutil
import signal
import string
import struct
import sys
import tempfile
import time
import types
import typing

OUTPUT_BYTES = 2**24  # per file, stdout and a function's result
OPEN_FILES = 64
WAIT_SECONDS = 10  # in which a test must use a hundredth of them, or it is stopped: it waits
LEAST_SHARE = 0.01
SLOW_TESTS = 3  # that ran out of time, after which the rest counts as failed
TOLERANCE = 1e-6  # of numbers with a fraction, relative and absolute

# What LeetCode and its likes give the code of a function, so that answers do not import it.
GIVEN = {
    **{name: getattr(typing, name) for name in typing.__all__},
    **{m.__name__: m for m in (bisect, collections, functools, heapq, itertools, math, operator)},
    **{m.__name__: m for m in (random, re, string)},
    **{n: getattr(collections, n) for n in ("Counter", "defaultdict", "deque", "OrderedDict")},
    "cache": functools.cache,
    "lru_cache": functools.lru_cache,
    "inf": math.inf,
}
# Numbers of what a test may not call, so that the limits of one process are limits of the test:
# fork, vfork; memfd_create, shmget (memory outside of the address space); mount, unshare, setns,
# open_tree, fsopen, io_uring_setup; kill, tkill, tgkill and their like, ptrace,
# process_vm_readv, process_vm_writev, pidfd_getfd (what the judging process knows, and its pipes).
_FORBIDDEN = {
    "x86_64": (0xC000003E, 56, (57, 58, 319, 29, 165, 272, 308, 428, 430, 425, 62, 200, 234, 129,
                                297, 424, 101, 310, 311, 438)),
    "aarch64": (0xC00000B7, 220, (279, 194, 40, 97, 268, 428, 430, 425, 129, 130, 131, 138, 240,
                                  424, 117, 270, 271, 438)),
}  # fmt: skip
_WHOLE = re.compile(r"[-+]?[0-9]+")
_CLONE3, _ENOSYS, _EPERM, _THREAD = 435, 38, 1, 0x10000


def main():
    """Judge the job: its second part, what is expected, is only ever in this process."""
    job, secret = _read_part(), os.urandom(8).hex()
    # PR_SET_DUMPABLE, inherited by forks: where there is a /proc, tests can open in it neither the
    # memory nor the pipes of those that judge.
    ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)
    told, tell = os.pipe()
    if not os.fork():
        try:
            run_tests(job, secret, tell)
        finally:
            os._exit(1)  # also a test that could not begin
    os.close(tell)
    expected = _read_part()
    _say("ready")
    with open(told, encoding="utf-8") as results:
        for test in expected:
            out = json.loads(results.readline() or "null")
            _say(int(out is not None and _right(test, out, secret)))


def _read_part():
    """Return a part of the job; no byte of the next is read."""
    size, read = int(os.read(0, 16)), b""
    while len(read) < size:
        if not (more := os.read(0, min(size - len(read), 2**20))):
            sys.exit("the job ends too early")
        read += more
    return json.loads(read)


def run_tests(job, secret, tell):
    """Run the tests one by one; tell each one's output, null if it failed, as a line of JSON."""
    home, slow = os.getcwd(), 0
    for test in job["tests"]:
        if slow == SLOW_TESTS:
            return
        scratch = tempfile.mkdtemp(dir=home)
        stdin, out = (tempfile.TemporaryFile(dir=home) for _ in range(2))
        stdin.write(test.pop("stdin", "").encode())
        stdin.seek(0)
        child = os.fork()
        if not child:
            os.dup2(stdin.fileno(), 0)
            os.dup2(out.fileno(), 1)
            os.chdir(scratch)
            run(job["code"], test, job["limits"], secret)
        status = _wait(child, job["limits"]["most_seconds"])
        slow += status is None or -status in (signal.SIGXCPU, signal.SIGKILL)
        out.seek(0)
        said = out.read().decode(errors="replace") if status == 0 else None
        with open(tell, "w", closefd=False) as results:
            results.write(json.dumps(said) + "\n")
        stdin.close()
        out.close()
        shutil.rmtree(scratch, ignore_errors=True)


def _say(what):
    print(what, flush=True)


def _wait(child, most_seconds):
    """Return the exit status, negative for a signal; None if the clock stopped it.

    The limit of CPU time decides, so that a busy machine changes nothing. The clock stops only what
    waits, which uses next to no CPU time, or what takes absurdly long.
    """
    start = checked = time.monotonic()
    used, pause = 0.0, 0.001
    while time.monotonic() < start + most_seconds:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(pause)
        pause = min(2 * pause, 0.02)
        if time.monotonic() > checked + WAIT_SECONDS:
            before, used, checked = used, _cpu_seconds(child), time.monotonic()
            if used - before < LEAST_SHARE * WAIT_SECONDS:
                break
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


def _cpu_seconds(process):
    """Return the CPU time of another process, by the id of its clock (clock_getcpuclockid(3))."""
    return time.clock_gettime((~process << 3) | 2)


def _right(test, out, secret):
    if "stdout" in test:
        return same_output(out, test["stdout"])
    if "results" not in test:
        return out.endswith(secret)
    try:
        found = json.loads(out.rpartition("\n")[2])
    except ValueError:
        return False
    return any(_same(found, right) for right in test["results"])


def same_output(found, expected):
    """Return whether two outputs are the same, but for spaces at ends of lines and blank ones.

    A number with a fraction may differ from the expected one by ``TOLERANCE``.
    """
    first, second = ([w for x in t.split("\n") if (w := x.split())] for t in (found, expected))
    return _same(first, second, printed=True)


def _same(found, expected, printed=False):
    """Return whether values are the same; of what is ``printed``, numbers are texts."""
    if isinstance(expected, list):
        same_size = isinstance(found, list) and len(found) == len(expected)
        return same_size and all(map(_same, found, expected, itertools.repeat(printed)))
    if isinstance(expected, dict):
        same_keys = isinstance(found, dict) and found.keys() == expected.keys()
        return same_keys and all(_same(found[key], expected[key]) for key in expected)
    if isinstance(found, bool) or isinstance(expected, bool):
        return found is expected
    if found == expected:
        return True
    if not printed and (isinstance(found, str) or isinstance(expected, str)):
        return False  # "3.5" is neither "3.50" nor 3.5
    numbers = [_fraction(each) for each in (found, expected)]
    if None in numbers or not any(fraction for _, fraction in numbers):
        return False
    return math.isclose(*(n for n, _ in numbers), rel_tol=TOLERANCE, abs_tol=TOLERANCE)


def _fraction(value):
    """Return a number, and whether it has a fraction; None if it is not one."""
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    is_text = isinstance(value, str)
    return number, not _WHOLE.fullmatch(value) if is_text else isinstance(value, float)


def run(code, test, limits, secret):
    """Run the code and the test, and then print ``secret``; end this process."""
    os.dup2(os.open("/dev/null", os.O_WRONLY), 2)
    os.closerange(3, OPEN_FILES)
    sys.stdin, sys.stdout = open(0, encoding="utf-8"), open(1, "w", encoding="utf-8")
    sys.stderr, sys.argv = open(2, "w"), ["answer.py"]
    # Programs end so; Python has these from site, which -S leaves out.
    vars(builtins).update(exit=sys.exit, quit=sys.exit)
    random.seed(0)
    confine(limits)
    is_script, status = not test, 0
    module = types.ModuleType("__main__" if is_script else "answer")
    module.__dict__.update(GIVEN if "function" in test else {})
    sys.modules[module.__name__] = module
    try:
        exec(compile(code, "answer.py", "exec"), module.__dict__)  # noqa: S102
        if "code" in test:
            exec(compile(test["code"], "test.py", "exec"), module.__dict__)  # noqa: S102
            print(end=secret)
        if "function" in test:
            found = json.dumps(_called(module, test), default=list)
            print("\n" + found, end="")
    except SystemExit as error:
        status = 0 if is_script and error.code in (None, 0) else 1
    except BaseException:
        status = 1
    try:
        sys.stdout.flush()
    except BaseException:
        status = 1
    os._exit(status)


def _called(module, test):
    """Return what the function gives, by itself or as a method of ``Solution``."""
    name = test["function"]
    found = getattr(module, name, None)
    found = found if callable(found) else getattr(module.Solution(), name)
    return found(*test["args"])


def confine(limits):
    """Bound this process, and what it may ask of the kernel."""
    memory, seconds = limits["memory_bytes"], limits["cpu_seconds"]
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (OPEN_FILES, OPEN_FILES))
    resource.setrlimit(resource.RLIMIT_FSIZE, (OUTPUT_BYTES, OUTPUT_BYTES))
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    number, program = len(_filter()), b"".join(struct.pack("HBBI", *line) for line in _filter())
    buffer = ctypes.create_string_buffer(program)
    argument = struct.pack("HxxxxxxP", number, ctypes.addressof(buffer))
    libc = ctypes.CDLL(None, use_errno=True)
    # PR_SET_NO_NEW_PRIVS, then PR_SET_SECCOMP with SECCOMP_MODE_FILTER
    if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, argument, 0, 0):
        os._exit(1)


def _filter():
    """Return the program of Berkeley Packet Filter (seccomp(2)): code, jumps, value."""
    machine, clone, forbidden = _FORBIDDEN[platform.machine()]
    load, equal, at_least, some_bit, give = 0x20, 0x15, 0x35, 0x45, 0x06
    refuse, allow, kill = 0x00050000, 0x7FFF0000, 0x80000000
    return [
        (load, 0, 0, 4),
        (equal, 1, 0, machine),
        (give, 0, 0, kill),
        (load, 0, 0, 0),
        (at_least, 0, 1, 0x40000000),  # another ABI's numbers
        (give, 0, 0, kill),
        *(line for n in forbidden for line in ((equal, 0, 1, n), (give, 0, 0, refuse | _EPERM))),
        (equal, 0, 1, _CLONE3),  # its flags cannot be read: the C library falls back on clone
        (give, 0, 0, refuse | _ENOSYS),
        (equal, 0, 4, clone),
        (load, 0, 0, 16),
        (some_bit, 1, 0, _THREAD),
        (give, 0, 0, refuse | _EPERM),
        (give, 0, 0, allow),
        (give, 0, 0, allow),
    ]


if __name__ == "__main__":
    main()
