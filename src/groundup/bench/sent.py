"""The bytes that a process has sent, as the kernel counts them: an account of collectives that does
not rely on what they say of themselves.
"""

import os
import socket
import stat
import struct
from pathlib import Path

_DESCRIPTORS = Path("/proc/self/fd")
_BYTES_SENT = 200  # where `tcpi_bytes_sent` stands in `struct tcp_info` (linux/tcp.h, 4.19)
COUNTED = _DESCRIPTORS.exists()  # Linux does


def bytes_sent() -> int:
    """By the TCP connections of this process that are open, since they are."""
    total = 0
    for descriptor in (int(path.name) for path in _DESCRIPTORS.iterdir()):
        try:
            if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
                continue
            with socket.socket(fileno=os.dup(descriptor)) as connection:
                info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
                total += struct.unpack_from("Q", info, _BYTES_SENT)[0]
        except OSError:
            continue  # another kind of socket, or gone
    return total
