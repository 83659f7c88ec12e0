#!/usr/bin/env python3
"""faulty_server.py - a server that answers like yodeld and lies once, for the tests of yodel.

Prints its port on stdout, then serves until it is ended. Each read is one message.
LIE says what happens to message --message (from 0) of connection --connection (from 0,
in the order of acceptance):

  none         the truth, always
  alter        one byte of the answer is another
  drop         no answer
  duplicate    the answer comes twice
  swap         this connection and the next one get each other's answer
  truncate     the answer lacks its last bytes; the connection is closed
  gap          some bytes in the middle of the answer are missing
  extra        bytes that nobody asked for stand after the answer
  close        the connection is closed in place of the answer
  reset        the connection is reset in place of the answer
  late         the answer comes after --time seconds
  silent       all connections: accepted, never answered
  deaf         all connections: accepted, never read
  leave        all connections: accepted and closed at once
  refuse       all connections: nothing listens on the port
  full         all connections: the accept queue is full, nothing comes of connecting
  lag          all connections: each answer comes after --time seconds
  stall        all connections: the server stands still --time seconds every --period,
               and prints "BEGIN END", in seconds of the day's clock, of each time that
               it has really answered nobody, whatever kept it
"""
import argparse
import asyncio
import socket
import struct
import sys
import time

SHORTEST_PAUSE = 0.02  # seconds


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
        self.swapping = []  # (protocol, answer) of the first of two
        self.answered_at = None

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
            # until it is due, not for a time: what began late is no longer for it
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
        if self.server.options.fault == "leave":
            self.transport.close()
        if self.server.options.fault == "deaf":
            # soon: before Python 3.12 the reader is added after this, paused or not
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
        elif fault in ("none", "stall") or not self.is_fault_due():
            self.send(answer)
        else:
            getattr(self, "fault_" + fault)(answer)
        self.messages += 1

    def send(self, data):
        if not self.transport.is_closing():
            self.transport.write(data)

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
    lies = ["none", "silent", "deaf", "leave", "refuse", "full", "lag", "stall"]
    if options.fault not in lies and not hasattr(Connection, "fault_" + options.fault):
        sys.exit(f'faulty_server.py: found "{options.fault}", wanted one of those in --help')
    try:
        asyncio.run(serve(options))
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
