#!/usr/bin/python3
"""pathlab_echo.py --ready FILE PORT - an echo server that passes half-closes and survives
resets, the server of tests/pathlab where no other is asked for."""
import asyncio
import pathlib
import sys


async def serve(reader, writer):
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.write_eof()
    except OSError:
        pass
    finally:
        writer.close()


async def main(ready, port):
    server = await asyncio.start_server(serve, "", int(port), backlog=4096)
    pathlib.Path(ready).touch()
    await server.serve_forever()


_, _, ready_file, port_text = sys.argv
asyncio.run(main(ready_file, port_text))
