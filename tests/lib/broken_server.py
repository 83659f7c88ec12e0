#!/usr/bin/env python3
"""broken_server.py PROTOCOL - servers for client/conversations/PROTOCOL.talk, each with
one fault, for conversation_examples.bats.

Prints a line "FAULT PORT STATUS LINE" for each server, then serves until it is terminated.
STATUS is the exit status that yodel must have, LINE the start of the line of the repeat
section at which it must find the fault.

The fault is in one answer of the second pass on the second connection:

  code          another code: an error instead of success, or another type
  no-ending     without its last CRLF
  bare-lf       with LF instead of its last CRLF
  extra         followed by bytes that nobody asked for
  longer        its length field promises one byte more than comes
  shorter       its length field promises one byte less than comes
  altered       one byte of what was asked for is altered
  other         the answer for another connection, which gets this one
  twice         sent twice
  missing       not sent, but the next ones are
  close         the connection is closed instead
  early-close   the connection is closed after half of the answer
  reset         the connection is reset instead

and this is none:

  each-byte     all answers are sent one byte at a time
"""
import asyncio
import re
import socket
import struct
import sys

CRLF = b"\r\n"


# Faults after which not all of an answer came, but nothing wrong: it is lost.
INCOMPLETE = ("no-ending", "missing", "close", "early-close", "reset")
CLOSE = [None]  # an answer: the connection is closed


class Model:
    """What a server answers on one connection."""

    greeting = None
    ending = CRLF
    faulty = 1  # number of the answer with the fault, from 0, the greeting included
    altered = -1  # byte of an answer that differs from pass to pass
    faults = {}  # name: the line at which it must be found

    def __init__(self):
        self.input = bytearray()

    def take(self, length):
        if len(self.input) < length:
            return None
        taken = bytes(self.input[:length])
        del self.input[:length]
        return taken

    def line(self):
        end = self.input.find(self.ending)
        return None if end < 0 else self.take(end + len(self.ending))[: -len(self.ending)]

    def feed(self, data):
        """Returns the answers to what came; None among them closes the connection."""
        self.input += data
        answers = []
        while (answer := self.answer()) is not None:
            answers += [answer] if isinstance(answer, bytes) else answer
        return answers

    def answer(self):
        """Returns the answer, or a list of answers, to the first message of the input,
        None: it is not complete."""
        raise NotImplementedError

    @staticmethod
    def code(answer):
        """The answer with another code."""
        raise NotImplementedError

    @staticmethod
    def resize(answer, by):
        """The answer with another length in its length field."""
        raise NotImplementedError


def text_length(pattern):
    """Returns a function that changes the decimal number after the pattern."""

    def resize(answer, by):
        match = re.match(b"(%s)(\\d+)" % pattern, answer, re.DOTALL)
        return match[1] + b"%d" % (int(match[2]) + by) + answer[match.end() :]

    return staticmethod(resize)


def code(before, after):
    """Returns a function that replaces the first occurrence."""

    def replace(answer):
        assert before in answer
        return answer.replace(before, after, 1)

    return staticmethod(replace)


class Line(Model):
    altered = -2
    faults = {
        "altered": "S: \\{echo}",
        "other": "S: \\{echo}",
        "no-ending": "S: \\{echo}",
        "missing": "S: \\{echo}",
        "close": "S: \\{echo}",
        "reset": "S: \\{echo}",
        "early-close": "S: \\{echo}",
        "extra": "C: ",
        "twice": "C: ",
    }
    ending = b"\n"

    def answer(self):
        line = self.line()
        return None if line is None else line + b"\n"


class Length32(Model):
    faults = {
        "longer": "S: \\{u32be",
        "shorter": "S: \\{u32be",
        "altered": "S: \\{u32be",
        "other": "S: \\{u32be",
        "missing": "S: \\{u32be",
        "close": "S: \\{u32be",
        "reset": "S: \\{u32be",
        "early-close": "S: \\{u32be",
        "extra": "C: ",
        "twice": "C: ",
    }
    def answer(self):
        if len(self.input) < 4:
            return None
        length = 4 + int.from_bytes(self.input[:4], "big")
        return self.take(length)

    @staticmethod
    def resize(answer, by):
        return struct.pack(">I", len(answer) - 4 + by) + answer[4:]


class Tutorial(Model):
    faulty = 4
    faults = {
        "code": "S: IT WILL",
        "altered": "S: IT WILL",
        "missing": "S: IT WILL",
        "close": "S: IT WILL",
        "reset": "S: IT WILL",
        "early-close": "S: IT WILL",
        "extra": "C: in parts",
        "twice": "C: in parts",
    }
    said = [b"This is the message. ", b"It will be sent ", b"in parts."]

    def __init__(self):
        super().__init__()
        self.next = 0

    @staticmethod
    def code(answer):
        return answer.lower()

    def answer(self):
        message = self.take(len(self.said[self.next]))
        if message is None:
            return None
        self.next = (self.next + 1) % 3
        return message.upper()


class Smtp(Model):
    faulty = 3
    faults = {
        "code": "S: 250 ",
        "no-ending": "S: 250 ",
        "bare-lf": "S: 250 ",
        "missing": "S: 250 ",
        "close": "S: 250 ",
        "reset": "S: 250 ",
        "early-close": "S: 250 ",
        "extra": "C [noop]",
        "twice": "C [noop]",
    }
    greeting = b"220 mail.example ESMTP" + CRLF
    code = code(b"250 ", b"550 ")

    def answer(self):
        line = self.line()
        if line is None:
            return None
        if line.startswith(b"EHLO client-"):
            return b"250-mail.example\r\n250-PIPELINING\r\n250 8BITMIME\r\n"
        if line == b"NOOP":
            return b"250 2.0.0 Ok" + CRLF
        if line == b"QUIT":
            return [b"221 2.0.0 Bye" + CRLF] + CLOSE
        return b"502 not implemented" + CRLF


class Pop3(Model):
    faulty = 5
    faults = {
        "code": "S: +OK 1",
        "no-ending": "S: +OK 1",
        "bare-lf": "S: +OK 1",
        "missing": "S: +OK 1",
        "close": "S: +OK 1",
        "reset": "S: +OK 1",
        "early-close": "S: +OK 1",
        "extra": "C [retrieve]",
        "twice": "C [retrieve]",
    }
    greeting = b"+OK POP3 ready <1.2@mail.example>" + CRLF
    message = b"Subject: hi" + CRLF + CRLF + b"..dot" + CRLF
    code = code(b"+OK", b"-ERR")

    def answer(self):
        line = self.line()
        if line is None:
            return None
        if line == b"STAT":
            return b"+OK 1 21" + CRLF
        if line == b"LIST 1":
            return b"+OK 1 21" + CRLF
        if line == b"RETR 1":
            return b"+OK" + CRLF + self.message + b"." + CRLF
        if re.fullmatch(rb"USER user-\d+@example|PASS secret", line):
            return b"+OK" + CRLF
        if line == b"QUIT":
            return [b"+OK bye" + CRLF] + CLOSE
        return b"-ERR unknown" + CRLF


class Redis(Model):
    faulty = 3
    altered = -3
    faults = {
        "code": "S: $",
        "missing": "S: $",
        "close": "S: $",
        "reset": "S: $",
        "no-ending": "S: {\\{echo}}",
        "bare-lf": "S: {\\{echo}}",
        "longer": "S: {\\{echo}}",
        "shorter": "S: {\\{echo}}",
        "altered": "S: {\\{echo}}",
        "other": "S: {\\{echo}}",
        "early-close": "S: {\\{echo}}",
        "extra": "C [set]",
        "twice": "C [set]",
    }
    code = code(b"$", b":")
    resize = text_length(rb"\$")

    def __init__(self):
        super().__init__()
        self.keys = {}

    def command(self):
        """Returns the words of an array of bulk strings."""
        match = re.match(rb"\*(\d+)\r\n", self.input)
        if not match:
            return None
        at, words = match.end(), []
        for _ in range(int(match[1])):
            match = re.compile(rb"\$(\d+)\r\n").match(self.input, at)
            if not match or len(self.input) < match.end() + int(match[1]) + 2:
                return None
            words.append(bytes(self.input[match.end() : match.end() + int(match[1])]))
            at = match.end() + int(match[1]) + 2
            assert self.input[at - 2 : at] == CRLF
        del self.input[:at]
        return words

    def answer(self):
        words = self.command()
        if words is None:
            return None
        if words[0] == b"SET":
            self.keys[words[1]] = words[2]
            return b"+OK" + CRLF
        if words[0] == b"GET" and words[1] in self.keys:
            value = self.keys[words[1]]
            return b"$%d\r\n%s\r\n" % (len(value), value)
        return b"-ERR" + CRLF


class Memcached(Model):
    faulty = 3
    altered = -8
    faults = {
        "code": "S: VALUE",
        "missing": "S: VALUE",
        "close": "S: VALUE",
        "reset": "S: VALUE",
        "longer": "S: {\\{echo}}",
        "shorter": "S: {\\{echo}}",
        "altered": "S: {\\{echo}}",
        "other": "S: VALUE",
        "early-close": "S: {\\{echo}}",
        "no-ending": "S: END",
        "bare-lf": "S: END",
        "extra": "C [set]",
        "twice": "C [set]",
    }
    code = code(b"VALUE", b"ERROR")
    resize = text_length(rb"VALUE \S+ 0 ")

    def __init__(self):
        super().__init__()
        self.keys = {}

    def answer(self):
        end = self.input.find(CRLF)
        if end < 0:
            return None
        words = self.input[:end].split()
        if words[0] == b"set":
            length = int(words[4])
            if len(self.input) < end + 2 + length + 2:
                return None
            self.keys[bytes(words[1])] = bytes(self.input[end + 2 :][:length])
            del self.input[: end + 2 + length + 2]
            return b"STORED" + CRLF
        del self.input[: end + 2]
        key = bytes(words[1])
        if words[0] == b"get" and key in self.keys:
            value = self.keys[key]
            return b"VALUE %s 0 %d\r\n%s\r\nEND\r\n" % (key, len(value), value)
        return b"ERROR" + CRLF


class Http(Model):
    faults = {
        "code": "S: HTTP",
        "missing": "S: HTTP",
        "close": "S: HTTP",
        "reset": "S: HTTP",
        "longer": "S: {",
        "shorter": "S: {",
        "altered": "S: {",
        "other": "S: {",
        "early-close": "S*: ",
        "extra": "C [get]",
        "twice": "C [get]",
    }
    code = code(b"200 OK", b"500 Internal Server Error")
    resize = text_length(rb".*?Content-Length: ")

    def answer(self):
        end = self.input.find(CRLF + CRLF)
        if end < 0:
            return None
        request = self.take(end + 4)
        match = re.match(rb"GET (/\S*) HTTP/1.1\r\nHost: ", request)
        if not match:
            return b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"
        head = (
            b"HTTP/1.1 200 OK\r\nServer: broken\r\nContent-Type: text/plain\r\n"
            b"Content-Length: %d\r\nConnection: keep-alive\r\n\r\n"
        )
        return head % len(match[1]) + match[1]


class Dns(Model):
    faults = {
        "code": "S: ",
        "longer": "S: ",
        "shorter": "S: ",
        "altered": "S: ",
        "other": "S: ",
        "missing": "S: ",
        "close": "S: ",
        "reset": "S: ",
        "early-close": "S: ",
        "extra": "C [query]",
        "twice": "C [query]",
    }
    def answer(self):
        if len(self.input) < 2:
            return None
        query = self.take(2 + int.from_bytes(self.input[:2], "big"))
        if query is None:
            return None
        number, _, questions = struct.unpack(">HHH", query[2:8])
        assert questions == 1
        header = struct.pack(">HHHHHH", number, 0x8500, 1, 1, 0, 0)
        address = bytes.fromhex("c00c 0001 0001 00000e10 0004 c0000201")
        answer = header + query[14:] + address
        return struct.pack(">H", len(answer)) + answer

    @staticmethod
    def code(answer):
        return answer[:5] + b"\x03" + answer[6:]  # no such name

    @staticmethod
    def resize(answer, by):
        return struct.pack(">H", len(answer) - 2 + by) + answer[2:]


class Mqtt(Model):
    faulty = 2
    faults = {
        "code": "S: \\x40",
        "longer": "S: \\x40",
        "shorter": "S: \\x40",
        "altered": "S: \\x40",
        "other": "S: \\x40",
        "missing": "S: \\x40",
        "close": "S: \\x40",
        "reset": "S: \\x40",
        "early-close": "S: \\x40",
        "extra": "C [publish]",
        "twice": "C [publish]",
    }
    def answer(self):
        length = at = 0
        while True:
            at += 1
            if len(self.input) <= at:
                return None
            length |= (self.input[at] & 0x7F) << 7 * (at - 1)
            if self.input[at] < 0x80:
                break
        packet = self.take(at + 1 + length)
        if packet is None:
            return None
        kind, body = packet[0], packet[at + 1 :]
        if kind == 0x10:
            assert body.startswith(b"\0\4MQTT\4\2")
            return bytes.fromhex("20020000")
        if kind == 0x32:
            topic = int.from_bytes(body[:2], "big")
            return bytes.fromhex("4002") + body[2 + topic : 4 + topic]
        assert kind == 0xE0
        return CLOSE

    @staticmethod
    def code(answer):
        return b"\x50" + answer[1:]

    @staticmethod
    def resize(answer, by):
        return answer[:1] + bytes([answer[1] + by]) + answer[2:]


class Postgresql(Model):
    faulty = 2
    altered = -21
    faults = {
        "code": "S: T",
        "missing": "S: T",
        "close": "S: T",
        "reset": "S: T",
        "longer": "S: D",
        "shorter": "S: D",
        "altered": "S: D",
        "other": "S: D",
        "early-close": "S: D",
        "extra": "C [query]",
        "twice": "C [query]",
    }
    def __init__(self):
        super().__init__()
        self.started = False

    @staticmethod
    def packet(kind, body):
        return kind + struct.pack(">I", 4 + len(body)) + body

    def answer(self):
        at = 1 if self.started else 0
        if len(self.input) < at + 4:
            return None
        message = self.take(at + int.from_bytes(self.input[at : at + 4], "big"))
        if message is None:
            return None
        packet = self.packet
        if not self.started:
            assert message[4:8] == b"\0\3\0\0"
            self.started = True
            return (
                packet(b"R", bytes(4))
                + packet(b"S", b"server_version\x0016.1\0")
                + packet(b"S", b"client_encoding\0UTF8\0")
                + packet(b"K", b"\0\0\0\x01keys")
                + packet(b"Z", b"I")
            )
        if message[:1] == b"X":
            return CLOSE
        assert message[:1] == b"Q"
        value = re.fullmatch(rb"SELECT '(.*)'\0", message[5:], re.DOTALL)[1]
        row = b"\0\1" + struct.pack(">I", len(value)) + value
        return (
            packet(b"T", b"\0\1?column?\0" + bytes(18))
            + packet(b"D", row)
            + packet(b"C", b"SELECT 1\0")
            + packet(b"Z", b"I")
        )

    @staticmethod
    def code(answer):
        return b"E" + answer[1:]

    @staticmethod
    def resize(answer, by):
        at = answer.index(b"D\0\0\0") + 7
        length = int.from_bytes(answer[at : at + 4], "big")
        return answer[:at] + struct.pack(">I", length + by) + answer[at + 4 :]


PROTOCOLS = {
    "line": Line,
    "length32": Length32,
    "tutorial": Tutorial,
    "smtp": Smtp,
    "pop3": Pop3,
    "redis": Redis,
    "memcached": Memcached,
    "http": Http,
    "dns": Dns,
    "mqtt": Mqtt,
    "postgresql": Postgresql,
}


class Connection(asyncio.Protocol):
    def __init__(self, server):
        self.server = server
        self.model = PROTOCOLS[server.protocol]()
        self.answers = 0

    def connection_made(self, transport):
        self.transport = transport
        transport.get_extra_info("socket").setsockopt(
            socket.IPPROTO_TCP, socket.TCP_NODELAY, 1
        )
        self.number = self.server.accepted
        self.server.accepted += 1
        if self.model.greeting:
            self.pass_on(self.model.greeting)

    def data_received(self, data):
        for answer in self.model.feed(data):
            self.pass_on(answer)

    def pass_on(self, answer):
        if answer is None:
            self.transport.close()
        elif self.is_faulty():
            getattr(self, "fault_" + self.server.fault.replace("-", "_"))(answer)
        else:
            self.send(answer)
        self.answers += 1

    def is_faulty(self):
        fault = self.server.fault
        if fault == "each-byte":
            return True
        connections = [1, 2] if fault == "other" else [1]
        return self.number in connections and self.answers == self.model.faulty

    def send(self, data):
        if not self.transport.is_closing():
            self.transport.write(data)

    def fault_code(self, answer):
        self.send(self.model.code(answer))

    def fault_no_ending(self, answer):
        self.send(answer.removesuffix(self.model.ending))

    def fault_bare_lf(self, answer):
        self.send(answer.removesuffix(CRLF) + b"\n")

    def fault_extra(self, answer):
        self.send(answer + b"Zz")

    def fault_longer(self, answer):
        self.send(self.model.resize(answer, 1))

    def fault_shorter(self, answer):
        self.send(self.model.resize(answer, -1))

    def fault_altered(self, answer):
        at = len(answer) + self.model.altered
        self.send(answer[:at] + bytes([answer[at] ^ 1]) + answer[at + 1 :])

    def fault_other(self, answer):
        self.server.swapping.append((self, answer))
        if len(self.server.swapping) == 2:
            (one, one_answer), (other, other_answer) = self.server.swapping
            one.send(other_answer)
            other.send(one_answer)

    def fault_twice(self, answer):
        self.send(answer + answer)

    def fault_missing(self, answer):
        pass

    def fault_close(self, answer):
        self.transport.close()

    def fault_early_close(self, answer):
        self.send(answer[: len(answer) // 2])
        self.transport.close()

    def fault_reset(self, answer):
        self.transport.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
        )
        self.transport.abort()

    def fault_each_byte(self, answer):
        for byte in answer:
            self.send(bytes([byte]))


class Server:
    def __init__(self, protocol, fault):
        self.protocol = protocol
        self.fault = fault
        self.accepted = 0
        self.swapping = []  # (connection, answer) of each of the two

    async def start(self):
        """Returns the port."""
        self.listener = await asyncio.get_running_loop().create_server(
            lambda: Connection(self), "127.0.0.1", 0, backlog=4096
        )
        return self.listener.sockets[0].getsockname()[1]


async def serve(protocol):
    faults = {"each-byte": "-", **PROTOCOLS[protocol].faults}
    servers, table = [], ""
    for fault, line in faults.items():
        servers.append(Server(protocol, fault))
        port = await servers[-1].start()
        status = 0 if fault == "each-byte" else 1 if fault in INCOMPLETE else 2
        table += f"{fault} {port} {status} {line}\n"
    print(table, end="", flush=True)
    await asyncio.Event().wait()


def main():
    if len(sys.argv) != 2 or sys.argv[1] not in PROTOCOLS:
        sys.exit(f"broken_server.py: expected a protocol: {', '.join(PROTOCOLS)}")
    try:
        asyncio.run(serve(sys.argv[1]))
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
