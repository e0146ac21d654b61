"""`trader exchange --admin-port`: the address and key of what makes it fail, on the line that says that it is ready."""

import json
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

STOPPED_S_MAX = 20


def test_it_says_where_it_can_be_told_to_fail_and_fails_there(tmp_path: Path):
    command = [sys.executable, "-m", "cli", "exchange", "--json", "--data-dir", str(tmp_path), "--admin-port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        told = json.loads(process.stdout.readline())
        fault = {"kind": "request_failed", "count": 1, "status": 503, "code": -1008}
        arm = urllib.request.Request(
            f"{told['admin']['url']}/faults",
            data=json.dumps(fault).encode(),
            headers={"Authorization": f"Bearer {told['admin']['key']}"},
        )
        with urllib.request.urlopen(arm, timeout=10) as answer:
            assert json.load(answer) == {"fault": 1}
        ping = f"{told['exchange_rest']}/api/v3/ping"
        with pytest.raises(urllib.error.HTTPError) as failed:
            urllib.request.urlopen(ping, timeout=10)
        failed.value.close()
        with urllib.request.urlopen(ping, timeout=10) as answer:
            assert json.load(answer) == {}
        process.send_signal(signal.SIGINT)
        assert process.wait(STOPPED_S_MAX) == 130
    finally:
        process.kill()
        process.communicate()

    assert failed.value.code == 503
    log = (tmp_path / "exchange" / "logs" / "paper_exchange.log").read_text()
    assert "fault 1 struck: request_failed method=GET path=/api/v3/ping" in log
    assert told["admin"]["key"] not in log
