import secrets
from base64 import urlsafe_b64decode

import pytest

from libs.embedded.stores.kafka import fresh_cluster_id


@pytest.mark.parametrize("highest", [0, 0b1111_0111])
def test_a_cluster_id_never_reads_as_an_option(monkeypatch: pytest.MonkeyPatch, highest: int) -> None:
    def drawn(below: int) -> int:
        assert highest < below
        return highest

    monkeypatch.setattr(secrets, "randbelow", drawn)

    assert not fresh_cluster_id().startswith("-")


def test_a_cluster_id_is_16_bytes_and_fresh() -> None:
    first, second = fresh_cluster_id(), fresh_cluster_id()

    assert first != second
    assert len(urlsafe_b64decode(first + "==")) == 16
