"""Those who sign in all the time, in one thread: `python signing_in.py URL COUNT`.

It says `begun` when each has asked once. When its input ends they wait for their last answer, so
that nothing of the storm is left, and it prints how many answers there were. Other answers than a
sign-in's end it.
"""

import asyncio
import json
import sys
from urllib.parse import urlsplit

USER = json.dumps(
    {"user": {"email": "storm@example.com", "password": "correct horse battery"}}
).encode()


async def _storm(url: str, count: int) -> int:
    address = urlsplit(url)
    request = (
        f"POST /api/v1/users/sign_in HTTP/1.1\r\nHost: {address.netloc}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(USER)}\r\n\r\n"
    ).encode() + USER
    over = asyncio.Event()
    opened = [await asyncio.open_connection(address.hostname, address.port) for _ in range(count)]
    for _, writer in opened:
        writer.write(request)
    print("begun", flush=True)
    asked = [asyncio.create_task(_sign_in(*each, request, over)) for each in opened]
    await asyncio.to_thread(sys.stdin.read)
    over.set()
    return sum(await asyncio.gather(*asked))


async def _sign_in(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    request: bytes,
    over: asyncio.Event,
) -> int:
    """How often this one signed in."""
    answered = 0
    while True:
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 201 "):
            raise SystemExit(f"sign-in was answered {head[:40]!r}")
        length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
        await reader.readexactly(int(length))
        answered += 1
        if over.is_set():
            writer.close()
            return answered
        writer.write(request)


if __name__ == "__main__":
    print(asyncio.run(_storm(sys.argv[1], int(sys.argv[2]))), flush=True)
