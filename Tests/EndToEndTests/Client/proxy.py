"""A proxy that knows CONNECT. Prints its port, then a line for each connection."""
import asyncio


async def pipe(reader, writer):
    try:
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
        writer.write_eof()
    except OSError:
        writer.close()


async def serve(reader, writer):
    lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    names = [line.split(":")[0].lower() for line in lines[1:]]
    print(lines[0].split(" ")[0], "with credentials" if "proxy-authorization" in names else "without", flush=True)
    host, port = lines[0].split(" ")[1].rsplit(":", 1)
    upstream, downstream = await asyncio.open_connection(host, int(port))
    writer.write(b"HTTP/1.1 200 Connected\r\n\r\n")
    await asyncio.gather(pipe(reader, downstream), pipe(upstream, writer))
    downstream.close()
    writer.close()


async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=1 << 20)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()

asyncio.run(main())
