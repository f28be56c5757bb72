"""A world outside, of one name: a name server that answers it with this host's address, or one that takes connections.

Arguments: `names` and the name, or `connections` and the TCP port.
"""

from __future__ import annotations

import socket
import struct
import sys

HEADER_BYTES = 12
NO_ERROR, NO_SUCH_NAME = 0x8580, 0x8583
"""An answer with authority, RFC 1035 section 4.1.1."""
TYPE_A, CLASS_IN = 1, 1


def answer(query: bytes, name: str, address: str) -> bytes:
    """Return the answer to a query: an A record for the name, nothing for its other types, and no other name."""
    end = query.index(b"\0", HEADER_BYTES)
    question = query[HEADER_BYTES : end + 5]
    asked, kind = question[:-4], struct.unpack(">H", question[-4:-2])[0]
    wanted = b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"
    known = asked.lower() == wanted
    records = b""
    if known and kind == TYPE_A:
        # 0xc00c: the name that stands in the question.
        records = struct.pack(">HHHIH", 0xC00C, TYPE_A, CLASS_IN, 5, 4) + socket.inet_aton(address)
    flags = NO_ERROR if known else NO_SUCH_NAME
    return query[:2] + struct.pack(">5H", flags, 1, 1 if records else 0, 0, 0) + question + records


def serve_names(name: str) -> None:
    """Answer queries over UDP."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("", 53))
        address = socket.gethostbyname(socket.gethostname())
        while True:
            query, client = server.recvfrom(4096)
            server.sendto(answer(query, name, address), client)


def take_connections(port: int) -> None:
    """Take connections over TCP and end them."""
    with socket.create_server(("", port)) as server:
        while True:
            server.accept()[0].close()


if __name__ == "__main__":
    serve_names(sys.argv[2]) if sys.argv[1] == "names" else take_connections(int(sys.argv[2]))
