#!/usr/bin/env python3
"""faulty_server.py FAULT - answers like yodeld, with one fault, for the tests of yodel.

Prints its port on stdout, then serves until it is terminated. Each read is one message.
FAULT selects what happens to message --message (from 0) of connection --connection (from
0, in the order of acceptance):

  none         no fault
  alter        one byte of the answer is altered
  drop         no answer
  duplicate    the answer is sent twice
  swap         this connection and the next one receive each other's answer
  truncate     the answer lacks its last bytes; the connection is closed
  gap          some bytes in the middle of the answer are missing
  extra        extra bytes follow the answer
  close        the connection is closed instead of answered
  reset        the connection is reset instead of answered
  late         the answer is delayed by --time seconds

These faults apply to all connections:

  silent       accepted, never answered
  never-read   accepted, never read
  close-all    accepted and closed at once
  refuse       nothing listens on the port
  full         the accept queue is full; a connect is never completed
  lag          each answer is delayed by --time seconds
  serial       one answer after another, each takes --time seconds
  stall        the server pauses for --time seconds in every --period; prints "BEGIN END"
               (Unix time) for each interval without an answer, for whatever reason
"""
import argparse
import asyncio
import socket
import struct
import sys
import time

SHORTEST_PAUSE = 0.02  # seconds
ON_ALL_CONNECTIONS = (
    "none", "silent", "never-read", "close-all", "refuse", "full", "lag", "serial",
    "stall"
)


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("fault")
    parser.add_argument("--reply", choices=["echo", "upper"], default="upper")
    parser.add_argument("--suffix", default="")
    parser.add_argument("--connection", type=int, default=0)
    parser.add_argument("--message", type=int, default=0)
    parser.add_argument("--time", type=float, default=0.5)
    parser.add_argument("--period", type=float, default=1.0)
    return parser.parse_args()


class Server:
    def __init__(self, options):
        self.options = options
        self.accepted = 0
        self.swapping = []  # (connection, answer) of each of the two
        self.answered_at = None
        self.free_at = 0  # serial: when the answers so far are sent

    def answer_to(self, data):
        if self.options.reply == "upper":
            # bytes.upper raises ASCII letters only
            data = data.upper()
        return data + self.options.suffix.encode()

    async def stall(self):
        """Blocks the whole loop on purpose, at the end of every period."""
        due = time.monotonic()
        while True:
            due += self.options.period
            await asyncio.sleep(due - self.options.time - time.monotonic())
            self.answered_at = self.answered_at or time.time()
            # Ends when it is due: a pause that began late is not longer for it.
            time.sleep(max(0, due - time.monotonic()))

    def note_pause(self):
        now = time.time()
        if self.answered_at and now - self.answered_at > SHORTEST_PAUSE:
            print(f"{self.answered_at:.6f} {now:.6f}", flush=True)
        self.answered_at = now


class Connection(asyncio.Protocol):
    def __init__(self, server):
        self.server = server
        self.messages = 0
        self.late = False

    def connection_made(self, transport):
        self.transport = transport
        transport.get_extra_info("socket").setsockopt(
            socket.IPPROTO_TCP, socket.TCP_NODELAY, 1
        )
        self.number = self.server.accepted
        self.server.accepted += 1
        if self.server.options.fault == "close-all":
            self.transport.close()
        if self.server.options.fault == "never-read":
            # call_soon: before Python 3.12 the reader is added later, even if paused
            asyncio.get_running_loop().call_soon(transport.pause_reading)

    def eof_received(self):
        # True keeps the transport open until the late answer is sent
        return self.late

    def is_fault_due(self):
        options = self.server.options
        chosen = [options.connection]
        if options.fault == "swap":
            chosen.append(options.connection + 1)
        return self.number in chosen and self.messages == options.message

    def data_received(self, data):
        answer = self.server.answer_to(data)
        fault = self.server.options.fault
        if fault == "silent":
            return
        if fault == "stall":
            self.server.note_pause()
        if fault == "lag":
            self.fault_late(answer)
        elif fault == "serial":
            self.send_in_turn(answer)
        elif fault in ("none", "stall") or not self.is_fault_due():
            self.send(answer)
        else:
            getattr(self, "fault_" + fault)(answer)
        self.messages += 1

    def send(self, data):
        if not self.transport.is_closing():
            self.transport.write(data)

    def send_in_turn(self, answer):
        loop, server = asyncio.get_running_loop(), self.server
        server.free_at = max(server.free_at, loop.time()) + server.options.time
        loop.call_at(server.free_at, self.send, answer)

    def fault_alter(self, answer):
        middle = len(answer) // 2
        self.send(
            answer[:middle] + bytes([answer[middle] ^ 0x01]) + answer[middle + 1 :]
        )

    def fault_drop(self, answer):
        pass

    def fault_duplicate(self, answer):
        self.send(answer + answer)

    def fault_swap(self, answer):
        self.server.swapping.append((self, answer))
        if len(self.server.swapping) == 2:
            (one, one_answer), (other, other_answer) = self.server.swapping
            one.send(other_answer)
            other.send(one_answer)

    def fault_truncate(self, answer):
        self.send(answer[: -max(1, len(answer) // 4)])
        self.transport.close()

    def fault_gap(self, answer):
        third = len(answer) // 3
        self.send(answer[:third] + answer[2 * third :])

    def fault_extra(self, answer):
        self.send(answer + b"and more")

    def fault_close(self, answer):
        self.transport.close()

    def fault_reset(self, answer):
        self.transport.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
        )
        self.transport.abort()

    def fault_late(self, answer):
        self.late = True
        asyncio.get_running_loop().call_later(
            self.server.options.time, self.send, answer
        )


async def serve(options):
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", 0))
    if options.fault != "full":
        print(listener.getsockname()[1], flush=True)
    if options.fault == "refuse":
        await asyncio.Event().wait()
    if options.fault == "full":
        listener.listen(0)
        waiting = socket.create_connection(listener.getsockname())
        print(listener.getsockname()[1], flush=True)
        await asyncio.Event().wait()
        waiting.close()
    server = Server(options)
    await asyncio.get_running_loop().create_server(
        lambda: Connection(server), sock=listener, backlog=4096
    )
    if options.fault == "stall":
        await server.stall()
    await asyncio.Event().wait()


def main():
    options = parse_arguments()
    fault = options.fault
    if fault not in ON_ALL_CONNECTIONS and not hasattr(Connection, "fault_" + fault):
        sys.exit(f'faulty_server.py: unknown fault "{fault}" (see --help)')
    try:
        asyncio.run(serve(options))
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
