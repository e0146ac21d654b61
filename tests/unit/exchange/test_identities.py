"""No two accounts of ours are one at the exchange."""

import pytest

from libs.common.errors import ConfigurationError, RetryableError
from libs.exchange.identities import Identities, refuse_shared_keys


class Exchange:
    """Says who each account is, and remembers who was asked for."""

    def __init__(self, **identities: str | None) -> None:
        self.identities = identities
        self.asked: list[str] = []

    async def identity(self, account: str) -> str | None:
        self.asked.append(account)
        if account not in self.identities:
            raise RetryableError("no answer")
        return self.identities[account]


def test_one_key_under_two_names_is_refused_without_showing_it():
    refuse_shared_keys({"main": "k1", "second": "k2"}, where="keys.json")

    with pytest.raises(ConfigurationError) as caught:
        refuse_shared_keys({"main": "k1", "second": "k2", "third": "k1"}, where="keys.json")

    assert str(caught.value).startswith(
        "keys.json: expected keys of different accounts for main and third, found the same key twice"
    )
    assert "k1" not in str(caught.value)


def test_two_accounts_with_one_id_at_the_exchange_are_refused():
    identities = Identities()
    identities.note("main", "17")
    identities.note("main", "17")
    identities.note("second", None)

    with pytest.raises(ConfigurationError, match=r"main and second.*account 17 behind both"):
        identities.note("second", "17")


async def test_accounts_that_are_one_at_the_exchange_are_found_out_before_they_are_traded():
    with pytest.raises(ConfigurationError, match="main and second"):
        await Identities().find_out(("main", "second"), Exchange(main="17", second="17").identity)


async def test_who_cannot_be_asked_now_is_compared_later():
    exchange, identities = Exchange(second="17"), Identities()

    await identities.find_out(("main", "second"), exchange.identity)

    assert exchange.asked == ["main", "second"]
    with pytest.raises(ConfigurationError):
        identities.note("main", "17")


async def test_an_account_alone_is_not_asked_for():
    exchange = Exchange(main="17")

    await Identities().find_out(("main",), exchange.identity)

    assert exchange.asked == []
