#!/usr/bin/env python3
"""Runs a command whose every fsync and fdatasync takes longer, as on a slower disk.

    slow_sync.py MILLISECONDS COMMAND [ARGUMENT…]

The command keeps the process id that its starter knows. A filter of the kernel (seccomp) holds the thread that syncs and tells a
second process, which lets it go on when the time is over; all other system calls run at full speed, and syncs of several threads are
held side by side. Unlike a library that is loaded into the process this reaches programs that call the kernel themselves (Go), and
unlike strace it costs one change of process for each sync. x86-64 and 64-bit Arm.
"""

import array
import ctypes
import fcntl
import heapq
import os
import platform
import select
import socket
import struct
import sys
import time

# Numbers of fsync, fdatasync and seccomp, and the value by which the kernel names the machine.
CALLS = {
    "x86_64": (74, 75, 317, 0xC000003E),
    "aarch64": (82, 83, 277, 0xC00000B7),
}
PR_SET_NO_NEW_PRIVS = 38
SECCOMP_SET_MODE_FILTER = 1
SECCOMP_FILTER_FLAG_NEW_LISTENER = 1 << 3
SECCOMP_RET_USER_NOTIF = 0x7FC00000
SECCOMP_RET_ALLOW = 0x7FFF0000
SECCOMP_IOCTL_NOTIF_RECV = 0xC0502100
SECCOMP_IOCTL_NOTIF_SEND = 0xC0182101
SECCOMP_USER_NOTIF_FLAG_CONTINUE = 1
NOTIFICATION_BYTES = 80

# Classic BPF: load a word of the call's description, compare, answer.
LOAD, EQUAL, RETURN = 0x20, 0x15, 0x06
OFFSET_NUMBER, OFFSET_MACHINE = 0, 4


def filter_program(fsync, fdatasync, machine):
    steps = [
        (LOAD, 0, 0, OFFSET_MACHINE),
        (EQUAL, 0, 4, machine),
        (LOAD, 0, 0, OFFSET_NUMBER),
        (EQUAL, 1, 0, fsync),
        (EQUAL, 0, 1, fdatasync),
        (RETURN, 0, 0, SECCOMP_RET_USER_NOTIF),
        (RETURN, 0, 0, SECCOMP_RET_ALLOW),
    ]
    return b"".join(struct.pack("HBBI", *step) for step in steps), len(steps)


def install():
    """Sets the filter for this process and those that it becomes; gives the descriptor that hears of their syncs."""
    if platform.machine() not in CALLS:
        sys.exit(f"slow_sync.py does not know the system calls of {platform.machine()}")
    fsync, fdatasync, seccomp, machine = CALLS[platform.machine()]
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        sys.exit(f"slow_sync.py: prctl: {os.strerror(ctypes.get_errno())}")
    steps, count = filter_program(fsync, fdatasync, machine)
    buffer = ctypes.create_string_buffer(steps, len(steps))
    program = ctypes.create_string_buffer(struct.pack("HxxxxxxQ", count, ctypes.addressof(buffer)))
    listener = libc.syscall(
        seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, ctypes.byref(program)
    )
    if listener < 0:
        sys.exit(f"slow_sync.py: seccomp: {os.strerror(ctypes.get_errno())}")
    return listener


def supervise(listener, delay):
    """Lets each sync go on when it has waited, until nobody is left who could sync."""
    waiting = []
    poll = select.epoll()
    poll.register(listener, select.EPOLLIN)
    while True:
        rest = max(0.0, waiting[0][0] - time.monotonic()) if waiting else None
        events = poll.poll(rest)
        if any(event & select.EPOLLHUP for _, event in events):
            return
        if events:
            notification = bytearray(NOTIFICATION_BYTES)
            try:
                fcntl.ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, notification)
            except OSError:
                # The thread has ended meanwhile.
                continue
            (call,) = struct.unpack_from("Q", notification)
            heapq.heappush(waiting, (time.monotonic() + delay, call))
        while waiting and waiting[0][0] <= time.monotonic():
            _, call = heapq.heappop(waiting)
            try:
                fcntl.ioctl(
                    listener,
                    SECCOMP_IOCTL_NOTIF_SEND,
                    struct.pack("QqiI", call, 0, 0, SECCOMP_USER_NOTIF_FLAG_CONTINUE),
                )
            except OSError:
                # The thread has ended meanwhile.
                continue


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    delay = float(sys.argv[1]) / 1000
    ours, theirs = socket.socketpair()
    if os.fork() == 0:
        # Twice, so that the command has no child that it does not know.
        if os.fork() > 0:
            os._exit(0)
        ours.close()
        descriptors = array.array("i", [0])
        _, ancillary, _, _ = theirs.recvmsg(1, socket.CMSG_SPACE(descriptors.itemsize))
        theirs.close()
        for _, _, data in ancillary:
            descriptors.frombytes(data)
        listener = descriptors[-1]
        supervise(listener, delay)
        os._exit(0)
    os.wait()
    theirs.close()
    listener = install()
    ours.sendmsg([b"."], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [listener]))])
    ours.close()
    os.close(listener)
    os.execvp(sys.argv[2], sys.argv[2:])


main()
