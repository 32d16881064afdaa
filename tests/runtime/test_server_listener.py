"""The port that the server binds: tokens leave at once."""

from __future__ import annotations

import asyncio
import socket

from rnj_agent.runtime.server.listener import listening_on_port


async def test_what_it_accepts_sends_each_token_without_waiting() -> None:
    no_delay: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def on_client(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        accepted: socket.socket = writer.get_extra_info("socket")
        no_delay.set_result(accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        writer.close()

    with listening_on_port("127.0.0.1", 0) as listener:
        async with await asyncio.start_server(on_client, sock=listener):
            _, client = await asyncio.open_connection(*listener.getsockname())
            assert await no_delay
            client.close()
            await client.wait_closed()
