#!/usr/bin/env python3
"""proxy_forwarder.py SERVER_PORT WRONG - a load balancer that announces its clients by PROXY
headers (version 2), but in the header of connection number WRONG (from 1; 0: none) the port of
another client. With "shared" for WRONG all clients get the same port. Prints its port."""
import asyncio
import socket
import struct
import sys

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
count = 0


async def pipe(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.write_eof()


async def serve(reader, writer):
    global count
    count += 1
    host, port = writer.get_extra_info("peername")
    if sys.argv[2] == "shared":
        port = 7
    elif count == int(sys.argv[2]):
        port ^= 1
    back_reader, back_writer = await asyncio.open_connection("127.0.0.1", int(sys.argv[1]))
    back_writer.write(SIGNATURE + b"\x21\x11" + struct.pack("!H", 12) + socket.inet_aton(host)
                      + socket.inet_aton("127.0.0.1") + struct.pack("!HH", port, 80))
    await asyncio.gather(pipe(reader, back_writer), pipe(back_reader, writer))
    back_writer.close()
    writer.close()


async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=1000)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(main())
