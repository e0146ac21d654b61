import aiohttp
import pytest

from tests.contract.paper_exchange.local_exchange import local_exchange


@pytest.mark.parametrize("path", ["/ws", "/stream", "/ws-api/v3"])
async def test_a_socket_that_wants_times_in_an_unknown_unit_is_refused(tmp_path, path):
    async with local_exchange(tmp_path) as local:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await local.http.ws_connect(f"{local.socket}{path}?timeUnit=YEAR")

    assert refused.value.status == 400
