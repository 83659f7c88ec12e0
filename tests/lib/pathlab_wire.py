#!/usr/bin/python3
"""pathlab_wire.py - a wire that delays and loses packets, where the kernel has no netem.

    pathlab_wire.py plain DEVICE                      no offloads: what it sends are real packets
    pathlab_wire.py --ready FILE pass A B DELAY LOSS  frames from one device to the other and
                                                      back, each after DELAY ms; every LOSS-th
                                                      IPv4 packet is dropped (0: none)
"""
import collections
import ctypes
import fcntl
import pathlib
import select
import socket
import struct
import sys
import time

ETH_P_ALL = 3
ETHERTYPE_IPV4 = b"\x08\x00"
FRAME_MAX = 65600
SIOCETHTOOL = 0x8946
# linux/ethtool.h: ETHTOOL_STSO, _SUFO, _SGSO, _SGRO, _STXCSUM, _SRXCSUM
OFFLOADS = (0x1f, 0x21, 0x24, 0x2c, 0x17, 0x15)
SOL_PACKET, PACKET_IGNORE_OUTGOING = 263, 23


def disable_offloads(device):
    """Without this a packet socket sees segments of 64 KiB with unfinished checksums."""
    with socket.socket() as any_socket:
        for offload in OFFLOADS:
            value = ctypes.create_string_buffer(struct.pack("II", offload, 0))
            request = struct.pack("16sP16x", device.encode(), ctypes.addressof(value))
            try:
                fcntl.ioctl(any_socket, SIOCETHTOOL, request)
            except OSError:
                pass  # a driver may not have it


def open_device(device):
    disable_offloads(device)
    end = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    end.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
    end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 24)
    end.bind((device, ETH_P_ALL))
    end.setblocking(False)
    return end


class Wire:
    def __init__(self, devices, delay_ms, loss):
        ends = [open_device(device) for device in devices]
        self.to = {ends[0]: ends[1], ends[1]: ends[0]}
        self.delay, self.loss, self.packets = delay_ms / 1000, loss, 0
        self.under_way = collections.deque()  # (time, frame, end); each has the same delay

    def is_lost(self, frame):
        if not self.loss or frame[12:14] != ETHERTYPE_IPV4:
            return False
        self.packets += 1
        return self.packets % self.loss == 0

    def take(self, end):
        for _ in range(256):
            try:
                frame = end.recv(FRAME_MAX)
            except BlockingIOError:
                return
            if not self.is_lost(frame):
                self.under_way.append((time.monotonic() + self.delay, frame, self.to[end]))

    def deliver(self):
        now = time.monotonic()
        while self.under_way and self.under_way[0][0] <= now:
            _, frame, end = self.under_way.popleft()
            try:
                end.send(frame)
            except OSError:
                pass  # the queue of the device is full: it is lost, as on any wire

    def run(self):
        while True:
            wait = None
            if self.under_way:
                wait = max(0, self.under_way[0][0] - time.monotonic())
            for end in select.select(list(self.to), [], [], wait)[0]:
                self.take(end)
            self.deliver()


def main(argv):
    if argv[0] == "plain":
        disable_offloads(argv[1])
        return
    _, ready, _, left, right, delay, loss = argv
    wire = Wire((left, right), float(delay), int(loss))
    pathlib.Path(ready).touch()
    wire.run()


main(sys.argv[1:])
