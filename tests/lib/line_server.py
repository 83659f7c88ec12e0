#!/usr/bin/env python3
"""line_server.py [MODE] - a server that shares no code with yodel: greeting, commands, QUIT.

Prints its port, then serves any number of connections:

  "220 ready"; HELLO NAME: two lines "250-..." and "250 hello NAME"; NOOP: "250 ok";
  ECHO TEXT: "250 TEXT"; FIRST and SECOND: "251 first", "252 second"; QUIT: "221 bye", closes.
  End of input: "200 N bytes", closes.

MODE: right, or what is wrong at every tenth NOOP (numbered over all connections):
  code no-crlf bare-lf extra length early-close reset silent
or at every connection:
  slow-greeting (after 0.3 s)  silent-greeting  wrong-greeting  bytes (one byte a send)
  stays (does not close after QUIT)  resets (a reset in place of the close after QUIT)
"""
import asyncio
import socket
import struct
import sys

mode = sys.argv[1] if len(sys.argv) > 1 else "right"
noops = 0


def reset(writer):
    peer = writer.get_extra_info("socket")
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def send(writer, data):
    if mode != "bytes":
        writer.write(data)
        return
    for byte in data:
        writer.write(bytes([byte]))
        await asyncio.sleep(0)


async def answer_noop(writer):
    """False: the connection is over."""
    global noops
    noops += 1
    wrong = {"code": b"550 no\r\n", "no-crlf": b"250 ok", "bare-lf": b"250 ok\n",
             "extra": b"250 ok\r\nmore\r\n", "length": b"250 okay\r\n", "early-close": b"250 o",
             "reset": b"", "silent": b""}
    if mode not in wrong or noops % 10 != 0:
        await send(writer, b"250 ok\r\n")
        return True
    await send(writer, wrong[mode])
    if mode == "reset":
        reset(writer)
    return mode not in ("early-close", "reset")


async def answer(writer, line):
    """False: the connection is over."""
    word, _, rest = line.partition(b" ")
    if word == b"NOOP":
        return await answer_noop(writer)
    if word == b"HELLO":
        await send(writer, b"250-one\r\n250-two\r\n250 hello " + rest + b"\r\n")
    elif word == b"ECHO":
        await send(writer, b"250 " + rest + b"\r\n")
    elif word == b"FIRST":
        await send(writer, b"251 first\r\n")
    elif word == b"SECOND":
        await send(writer, b"252 second\r\n")
    elif word == b"QUIT":
        await send(writer, b"221 bye\r\n")
        if mode == "resets":
            await writer.drain()
            reset(writer)
        return mode == "stays"
    else:
        await send(writer, b"500 unknown\r\n")
    return True


async def serve(reader, writer):
    received = 0
    goes_on = True
    if mode == "slow-greeting":
        await asyncio.sleep(0.3)
    if mode != "silent-greeting":
        await send(writer, b"421 busy\r\n" if mode == "wrong-greeting" else b"220 ready\r\n")
    try:
        while goes_on:
            line = await reader.readline()
            received += len(line)
            if not line:
                await send(writer, b"200 %d bytes\r\n" % received)
                break
            goes_on = await answer(writer, line.rstrip(b"\r\n"))
        await writer.drain()
    except ConnectionError:
        pass
    writer.close()


async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(main())
