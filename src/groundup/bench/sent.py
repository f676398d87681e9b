"""The bytes that a process has sent, as the kernel counts them: an account of collectives that does
not rely on what they say of themselves.
"""

import os
import socket
import stat
import struct
from collections.abc import Mapping
from pathlib import Path

_DESCRIPTORS = Path("/proc/self/fd")
_BYTES_SENT = 200  # where `tcpi_bytes_sent` stands in `struct tcp_info` (linux/tcp.h, 4.19)
COUNTED = _DESCRIPTORS.exists()  # Linux does


def bytes_sent() -> dict[int, int]:
    """By each TCP connection of this process that is open, since it is; by its inode. Nothing where
    the kernel does not count."""
    sent: dict[int, int] = {}
    for descriptor in (int(path.name) for path in _DESCRIPTORS.iterdir()) if COUNTED else ():
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISSOCK(status.st_mode):
                continue
            with socket.socket(fileno=os.dup(descriptor)) as connection:
                info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
                sent[status.st_ino] = struct.unpack_from("Q", info, _BYTES_SENT)[0]
        except OSError:
            continue  # another kind of socket, or gone
    return sent


def bytes_since(before: Mapping[int, int]) -> int:
    """What the connections that are still open have sent since `bytes_sent` returned `before`."""
    return sum(count - before.get(inode, 0) for inode, count in bytes_sent().items())
