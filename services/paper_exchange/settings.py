"""What the paper exchange is told by the environment: variables with the prefix `PAPER_EXCHANGE_`."""

from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from libs.common.contracts.fields import AccountName
from libs.common.errors import ConfigurationError

_PREFIX = "PAPER_EXCHANGE_"

Port = Annotated[int, Field(ge=0, le=65_535)]
HttpAddress = Annotated[str, Field(pattern=r"^https?://[^/]+$")]
SocketAddress = Annotated[str, Field(pattern=r"^wss?://[^/]+$")]


def _split(value: Any) -> Any:
    return tuple(name.strip() for name in value.split(",")) if isinstance(value, str) else value


class PaperExchangeSettings(BaseSettings):
    """Where the exchange listens, where its data lies, and which market it runs.

    Attributes:
        host: The address to listen on.
        port: The public port; 0 picks a free one.
        health_port: Port of /healthz, /readyz and /metrics; 0 picks a free one.
        admin_port: Port of the admin API, which arms faults; 0 picks a free one, and without it there is none.
        fault_seed: Decides what faults leave to chance.
        data_dir: Holds `exchange.json`, `keys.json`, the journal, and `admin.json` where there is an admin API.
        market: `recorded`, `generated` or `binance`, which is live.
        seed: Selects the generated market and the quantities of the deep book.
        symbols: What trades, separated by commas.
        accounts: Who trades besides `visitor`, separated by commas; each is funded once, when it is new.
        speed: Market time per real time; 0 lets the market stand still.
        scenario_file: What is to happen on the generated market (`services/paper_exchange/market/scenario.py`).
        binance_rest_url: Where the live market's past is asked for; Binance's own address for market data only.
        binance_ws_url: Where the live market streams from.
        binance_silence_s: Of the live market: trading is suspended while a symbol is silent for longer.
    """

    model_config = SettingsConfigDict(env_prefix=_PREFIX, frozen=True, extra="ignore")

    host: str = "127.0.0.1"
    port: Port = 0
    health_port: Port = 0
    admin_port: Port | None = None
    fault_seed: int = Field(default=0, ge=0)
    data_dir: Path = Path(".data/paper_exchange")
    market: Literal["recorded", "generated", "binance"] = "recorded"
    seed: int = Field(default=7, ge=0)
    symbols: Annotated[tuple[Literal["BTCUSDT", "ETHUSDT"], ...], NoDecode, BeforeValidator(_split)] = Field(
        default=("BTCUSDT", "ETHUSDT"), min_length=1
    )
    accounts: Annotated[tuple[AccountName, ...], NoDecode, BeforeValidator(_split)] = Field(
        default=("main",), min_length=1, max_length=20
    )
    speed: Decimal = Field(default=Decimal(1), ge=0, le=1_000)
    scenario_file: Path | None = None
    binance_rest_url: HttpAddress = "https://data-api.binance.vision"
    binance_ws_url: SocketAddress = "wss://data-stream.binance.vision"
    binance_silence_s: Decimal = Field(default=Decimal(10), gt=0, le=3_600)


def load_settings() -> PaperExchangeSettings:
    """Read the settings.

    Raises:
        ConfigurationError: A variable is wrong.
    """
    try:
        settings = PaperExchangeSettings()
    except ValidationError as error:
        first = error.errors()[0]
        name = _PREFIX + str(first["loc"][0]).upper()
        raise ConfigurationError(where=name, expected=first["msg"], found=repr(first["input"])) from error
    if settings.scenario_file is not None and settings.market != "generated":
        raise ConfigurationError(
            where=f"{_PREFIX}SCENARIO_FILE",
            expected=f"no scenario, because the market is {settings.market}",
            found=str(settings.scenario_file),
            hint=f"set {_PREFIX}MARKET=generated",
        )
    if settings.market == "binance" and settings.speed != 1:
        raise ConfigurationError(
            where=f"{_PREFIX}SPEED",
            expected="1, because the market is live",
            found=f"{settings.speed:f}",
            hint=f"leave it out, or set {_PREFIX}MARKET=recorded",
        )
    return settings
