"""What a process that runs queries of users gives up, for good, before it reads the first one.

Everywhere: memory, writing to files, a share of the processor. On Linux also outliving its
parent and, by a filter of system calls (seccomp), starting a program or another process,
opening a socket, opening any file for writing, and changing names in a folder. DuckDB needs
none of that, and a query that found a way around the allow-list would gain nothing by it.
"""

import ctypes
import os
import platform
import resource
import signal
import struct
import sys
from typing import Final

OPEN_FILES_MAX: Final = 4_096
NICE: Final = 5
TURN_NS: Final = 100_000_000
"""The longest that the kernel grants."""

_SCHED_SETATTR: Final = {"x86_64": 314, "aarch64": 274}
_ATTR_BYTES: Final = 48

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_SECCOMP: Final = 22
_PR_SET_NO_NEW_PRIVS: Final = 38
_FILTER: Final = 2

_EPERM: Final = 1
_ENOSYS: Final = 38
_ALLOW: Final = 0x7FFF0000
_ERRNO: Final = 0x00050000

_X32: Final = 0x40000000
"""From here on the same calls stand a second time on x86_64."""

_CLONE_THREAD: Final = 0x00010000
_TO_WRITE: Final = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC

# Numbers of system calls: arch/x86/entry/syscalls/syscall_64.tbl and
# include/uapi/asm-generic/unistd.h of Linux.
_CALLS: Final[dict[str, tuple[int, dict[str, int], tuple[int, ...]]]] = {
    "x86_64": (
        0xC000003E,
        {"open": 2, "openat": 257, "clone": 56, "clone3": 435, "openat2": 437},
        # socket connect bind listen socketpair fork vfork execve ptrace truncate rename mkdir
        # rmdir creat link unlink symlink chmod chown mount unlinkat renameat linkat symlinkat
        # mkdirat execveat renameat2 process_vm_readv and _writev pidfd_getfd io_uring_setup
        (41, 42, 49, 50, 53, 57, 58, 59, 101, 76, 82, 83, 84, 85, 86, 87, 88, 90, 92, 165, 263,
         264, 265, 266, 258, 322, 316, 310, 311, 438, 425),
    ),
    "aarch64": (
        0xC00000B7,
        {"openat": 56, "clone": 220, "clone3": 435, "openat2": 437},
        (198, 203, 200, 201, 199, 221, 117, 45, 38, 34, 35, 36, 37, 53, 54, 40, 281, 276, 270,
         271, 438, 425),
    ),
}  # fmt: skip

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCH, _ARGUMENTS = 0, 4, 16


def die_with_parent() -> None:
    """Have the kernel end us when the thread that started us ends (Linux)."""
    if sys.platform == "linux":
        parent = os.getppid()  # 1 where the server is all that a container has
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it was gone before we asked
            os._exit(1)


def limit(memory_bytes: int) -> None:
    """Bound memory to several times what the database may use: it does not count everything."""
    address_bytes = 4 * memory_bytes + 1024**3
    _set(resource.RLIMIT_AS, address_bytes)
    _set(resource.RLIMIT_FSIZE, 0)
    _set(resource.RLIMIT_CORE, 0)
    _set(resource.RLIMIT_NOFILE, OPEN_FILES_MAX)
    os.nice(NICE)
    _take_long_turns()


def close_doors() -> bool:
    """Filter system calls from now on; False where the kernel or the machine has no filter."""
    told = _CALLS.get(platform.machine()) if sys.platform == "linux" else None
    if told is None:
        return False
    program = _program(*told)
    code = ctypes.create_string_buffer(b"".join(program))
    head = ctypes.create_string_buffer(
        struct.pack("HxxxxxxP", len(program), ctypes.addressof(code))
    )
    return (
        _prctl(_PR_SET_NO_NEW_PRIVS, 1) == 0
        and _prctl(_PR_SET_SECCOMP, _FILTER, ctypes.addressof(head)) == 0
    )


def _take_long_turns() -> None:
    """Have the kernel give us long turns, and so let others in at once (Linux 6.12 and later).

    Who wakes up and asks for a shorter turn than the one that runs has, as a server with an
    event to take does, need not wait for its end (EEVDF); else that is up to 3 ms each time.
    """
    number = _SCHED_SETATTR.get(platform.machine()) if sys.platform == "linux" else None
    if number is not None:
        # size, policy (the normal one), flags, nice, priority, turn, deadline, period
        asked = struct.pack("IIQiIQQQ", _ATTR_BYTES, 0, 0, os.nice(0), 0, TURN_NS, 0, 0)
        ctypes.CDLL(None).syscall(number, 0, ctypes.create_string_buffer(asked), 0)


def _prctl(option: int, *arguments: int) -> int:
    words = [ctypes.c_ulong(word) for word in (*arguments, 0, 0, 0, 0)[:4]]
    return int(ctypes.CDLL(None, use_errno=True).prctl(option, *words))


def _set(which: int, most: int) -> None:
    _, hard = resource.getrlimit(which)
    bound = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(which, (bound, bound))


def _program(arch: int, named: dict[str, int], refused: tuple[int, ...]) -> list[bytes]:
    """A filter as the kernel runs it, one instruction of eight bytes an item."""
    steps = [
        _step(_LOAD, _ARCH),
        _step(_EQUAL, arch, yes=1),
        _step(_RETURN, _ERRNO | _EPERM),  # the calls of another architecture
        _step(_LOAD, _NUMBER),
        _step(_AT_LEAST, _X32, no=1),
        _step(_RETURN, _ERRNO | _EPERM),
    ]
    for number in refused:
        steps += [_step(_EQUAL, number, no=1), _step(_RETURN, _ERRNO | _EPERM)]
    # Its flags lie in memory, where a filter cannot look; glibc falls back to clone and openat.
    for name in ("clone3", "openat2"):
        steps += [_step(_EQUAL, named[name], no=1), _step(_RETURN, _ERRNO | _ENOSYS)]
    for name, argument in (("open", 1), ("openat", 2)):
        if name in named:
            steps += _on_bits(named[name], argument, _TO_WRITE, allowed=False)
    steps += _on_bits(named["clone"], 0, _CLONE_THREAD, allowed=True)
    return [*steps, _step(_RETURN, _ALLOW)]


def _on_bits(number: int, argument: int, bits: int, *, allowed: bool) -> list[bytes]:
    """Allow a call, or refuse it, where an argument has one of the bits; else the contrary."""
    first = _ALLOW if allowed else _ERRNO | _EPERM
    second = _ERRNO | _EPERM if allowed else _ALLOW
    return [
        _step(_EQUAL, number, no=4),
        _step(_LOAD, _ARGUMENTS + 8 * argument),
        _step(_ANY_BIT, bits, no=1),
        _step(_RETURN, first),
        _step(_RETURN, second),
    ]


def _step(code: int, value: int, *, yes: int = 0, no: int = 0) -> bytes:
    return struct.pack("HBBI", code, yes, no, value)
