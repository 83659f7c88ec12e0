#!/usr/bin/python3
"""pathlab_proxy.py --ready FILE [OPTION...] LISTEN TARGET - a TCP proxy of which is known what
it holds and does.

    --buffer=BYTES   holds up to BYTES in each direction (65536), beside the sockets' own
                     buffers, which are as small as Linux allows
    --pass-resets    a reset of one end resets the other; otherwise it becomes a FIN
    --transparent    takes any destination and connects with the client's address and port
    --sniff=SECONDS  connects when the client has sent its first byte, or after that time
    --remove-nul     removes NUL bytes of the client

A half-close is passed on.
"""
import argparse
import heapq
import pathlib
import select
import socket
import struct
import time

READ_MAX = 65536
SOCKET_BUFFER = 4096
IP_TRANSPARENT = 19


def address(text):
    host, port = text.rsplit(":", 1)
    return host, int(port)


def make_small(end):
    end.setblocking(False)
    for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
        end.setsockopt(socket.SOL_SOCKET, option, SOCKET_BUFFER)
    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


class Flow:
    """Bytes from one end to the other."""

    def __init__(self, source, sink, limit, removes_nul):
        self.source, self.sink, self.limit = source, sink, limit
        self.removes_nul = removes_nul
        self.held = bytearray()
        self.source_has_ended = self.sink_is_ended = False

    def wants_to_read(self):
        return not self.source_has_ended and len(self.held) < self.limit

    def wants_to_write(self):
        return bool(self.held) or (self.source_has_ended and not self.sink_is_ended)

    def read(self):
        data = self.source.recv(min(READ_MAX, self.limit - len(self.held)))
        if not data:
            self.source_has_ended = True
        self.held += data.replace(b"\0", b"") if self.removes_nul else data

    def write(self):
        if self.held:
            del self.held[:self.sink.send(memoryview(bytes(self.held[:READ_MAX])))]
        if self.source_has_ended and not self.held:
            self.sink.shutdown(socket.SHUT_WR)
            self.sink_is_ended = True


class Pair:
    """A client and, once it is connected to, the server."""

    def __init__(self, proxy, client, peer):
        self.proxy, self.client, self.peer = proxy, client, peer
        self.server = None
        self.is_connected = False
        self.flows = ()
        make_small(client)
        proxy.add(client, self)
        if proxy.options.sniff is None:
            self.connect()
        else:
            proxy.call_later(proxy.options.sniff, self.connect)

    def connect(self):
        if self.server is not None or self.client.fileno() < 0:
            return
        options = self.proxy.options
        self.server = socket.socket()
        make_small(self.server)
        if options.transparent:
            self.server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.server.setsockopt(socket.IPPROTO_IP, IP_TRANSPARENT, 1)
            self.server.bind(self.peer)
        self.server.connect_ex(address(options.target))
        self.flows = (Flow(self.client, self.server, options.buffer, options.remove_nul),
                      Flow(self.server, self.client, options.buffer, False))
        self.proxy.add(self.server, self)

    def events_of(self, end):
        if self.server is None:  # awaits the first byte
            return select.EPOLLIN
        if not self.is_connected:
            return select.EPOLLOUT if end is self.server else 0
        events = 0
        for flow in self.flows:
            if flow.source is end and flow.wants_to_read():
                events |= select.EPOLLIN
            if flow.sink is end and flow.wants_to_write():
                events |= select.EPOLLOUT
        return events

    def on_event(self, end, events):
        try:
            self.serve(end, events)
        except BlockingIOError:
            pass
        except ConnectionResetError:
            self.close(with_reset=self.proxy.options.pass_resets)
            return
        except OSError:
            self.close(with_reset=False)
            return
        if self.flows and all(flow.sink_is_ended for flow in self.flows):
            self.close(with_reset=False)
        else:
            self.proxy.watch(self)

    def serve(self, end, events):
        if self.server is None:
            self.connect()
            return
        if events & select.EPOLLERR:
            error = end.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if error:
                raise OSError(error, "")
        if end is self.server:
            self.is_connected = True
        if not self.is_connected:
            return
        for flow in self.flows:
            if flow.source is end and events & select.EPOLLIN and flow.wants_to_read():
                flow.read()
        for flow in self.flows:
            if flow.wants_to_write():
                try:
                    flow.write()
                except BlockingIOError:
                    pass

    def close(self, with_reset):
        for end in (self.client, self.server):
            if end is None:
                continue
            if with_reset:
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.proxy.remove(end)
            end.close()


class Proxy:
    def __init__(self, options):
        self.options = options
        self.epoll = select.epoll()
        self.pairs, self.ends = {}, {}  # by descriptor
        self.timers, self.timer_count = [], 0
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Accepted sockets announce a small window from the first segment on.
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SOCKET_BUFFER)
        if options.transparent:
            self.listener.setsockopt(socket.IPPROTO_IP, IP_TRANSPARENT, 1)
        self.listener.bind(address(options.listen))
        self.listener.listen(4096)
        self.listener.setblocking(False)
        self.epoll.register(self.listener, select.EPOLLIN)

    def call_later(self, seconds, call):
        self.timer_count += 1
        heapq.heappush(self.timers, (time.monotonic() + seconds, self.timer_count, call))

    def add(self, end, pair):
        self.pairs[end.fileno()], self.ends[end.fileno()] = pair, end
        self.epoll.register(end, pair.events_of(end))
        self.watch(pair)

    def watch(self, pair):
        for end in (pair.client, pair.server):
            if end is not None and end.fileno() in self.pairs:
                self.epoll.modify(end, pair.events_of(end))

    def remove(self, end):
        if self.pairs.pop(end.fileno(), None) is not None:
            del self.ends[end.fileno()]
            self.epoll.unregister(end)

    def accept(self):
        try:
            client, peer = self.listener.accept()
        except OSError:
            return
        Pair(self, client, peer)

    def run_timers(self):
        while self.timers and self.timers[0][0] <= time.monotonic():
            heapq.heappop(self.timers)[2]()

    def run(self):
        while True:
            wait = max(0, self.timers[0][0] - time.monotonic()) if self.timers else None
            for fd, events in self.epoll.poll(wait):
                if fd == self.listener.fileno():
                    self.accept()
                elif fd in self.pairs:
                    self.pairs[fd].on_event(self.ends[fd], events)
            self.run_timers()


def parse():
    parser = argparse.ArgumentParser()
    parser.add_argument("--ready")
    parser.add_argument("--buffer", type=int, default=65536)
    parser.add_argument("--pass-resets", action="store_true")
    parser.add_argument("--transparent", action="store_true")
    parser.add_argument("--sniff", type=float)
    parser.add_argument("--remove-nul", action="store_true")
    parser.add_argument("listen")
    parser.add_argument("target")
    return parser.parse_args()


def main():
    options = parse()
    proxy = Proxy(options)
    pathlib.Path(options.ready).touch()
    proxy.run()


main()
