#!/usr/bin/env python3
"""closing_server.py END [OPTION...] - echoes, and ends each connection in its own way.

Prints its port on stdout, then serves until it is terminated. END is what follows the
peer's FIN, or with --after what happens to a connection that is idle for so long:

  fin      the connection is closed in order
  reset    it is reset
  silence  nothing: the connection stays open on this side

With --accept N the server refuses connections after the first N.
"""
import argparse
import asyncio
import socket
import struct


class Connection(asyncio.Protocol):
    def __init__(self, options):
        self.options = options
        self.idle = None

    def connection_made(self, transport):
        self.transport = transport
        self.options.accept -= 1
        if self.options.accept == 0:
            self.options.server.close()
        self.wait()

    def wait(self):
        if self.options.after > 0:
            loop = asyncio.get_running_loop()
            self.idle = loop.call_later(self.options.after, self.end)

    def data_received(self, data):
        if self.idle:
            self.idle.cancel()
        self.transport.write(data)
        self.wait()

    def eof_received(self):
        if self.options.after == 0:
            self.end()
            return True
        return False

    def connection_lost(self, error):
        if self.idle:
            self.idle.cancel()

    def end(self):
        if self.options.end == "fin":
            self.transport.close()
        elif self.options.end == "reset":
            self.transport.get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
            )
            self.transport.abort()


async def serve(options):
    server = await asyncio.get_running_loop().create_server(
        lambda: Connection(options), options.address, options.port, backlog=4096
    )
    options.server = server
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.Event().wait()


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("end", choices=["fin", "reset", "silence"])
    parser.add_argument("--after", type=float, default=0)
    parser.add_argument("--accept", type=int, default=-1)
    parser.add_argument("--address", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    asyncio.run(serve(parser.parse_args()))


if __name__ == "__main__":
    main()
