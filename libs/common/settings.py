"""Where a process finds the others: environment variables with the prefix `TRADER_`, secrets in files.

What the system trades stands in the configuration (`libs.common.configuration`), not here.
"""

from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Final, Literal, TypeVar
from urllib.parse import quote

from pydantic import Field, FilePath, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from libs.common.errors import ConfigurationError
from libs.common.messaging.login import KafkaLogin, Mechanism

CERTIFICATES: Final = Path("/etc/ssl/certs/ca-certificates.crt")
"""Where Debian, of which the images are made, keeps the certificate authorities; Postgres has to be told."""

Port = Annotated[int, Field(ge=0, le=65_535)]


class ServiceSettings(BaseSettings):
    """What every service needs to know.

    Attributes:
        kafka_bootstrap_servers: `host:port[,host:port]`.
        kafka_security_protocol: PLAINTEXT: the cluster asks nobody who they are (the embedded stack); otherwise
            `kafka_sasl_mechanism` with the password from its secret file, over TLS or not.
        kafka_sasl_mechanism: How the cluster is told the password.
        kafka_user: The user of this service at the cluster; empty: the service's name.
        kafka_replication: How many copies `trader topics apply` makes of each topic that it creates.
        topic_prefix: Put before every topic's name; lets two installations or tests share a cluster.
        postgres_address: `host:port/database`; role and password are added from `postgres_role` and its secret file.
        postgres_tls: Speak TLS to Postgres, and believe it only under the name that `postgres_address` gives it.
        postgres_role: The role of this service; empty: the service's name.
        redis_address: `host:port/number`.
        redis_tls: Speak TLS to Redis, and believe it only under the name that `redis_address` gives it.
        redis_user: The ACL user of this service; empty: the default user, whose secret file is `redis`.
        ca_file: The certificate authorities that stores are believed by, in PEM; otherwise this machine's own.
        secrets_dir: Directory of files `postgres-<role>`, `kafka-<user>`, and `redis` or `redis-<user>`, readable by
            this process only.
        config_files: The configuration, one file or several.
        health_port: Port of /healthz, /readyz and /metrics; 0 picks a free one.
        installation: Six characters that mark the orders of this installation at the exchange.
        exchange_rest_url: Base address of the exchange's REST API, and `exchange_ws_url` of its streams.
        exchange_keys_file: JSON `{account: {"api_key": ..., "api_secret": ...}}`.
        halt_dir: Directory of the `HALT` file, shared by CLI, risk manager, executor and watchdog.
        operators_file: Public keys of those who may command.
        build: Names the program that this is, as an image is told when it is built; empty: its version.
        start_active: Start a fresh, empty installation in ACTIVE instead of REDUCING (the demonstration only).
    """

    model_config = SettingsConfigDict(env_prefix="TRADER_", frozen=True, extra="ignore")

    kafka_bootstrap_servers: str = "127.0.0.1:9092"
    kafka_security_protocol: Literal["PLAINTEXT", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    kafka_sasl_mechanism: Mechanism = "SCRAM-SHA-512"
    kafka_user: str = Field(default="", pattern=r"^[a-zA-Z0-9_@.-]{0,100}$")
    kafka_replication: int = Field(default=1, ge=1, le=9)
    topic_prefix: str = Field(default="", pattern=r"^[a-zA-Z0-9._-]{0,60}$")
    postgres_address: str = "127.0.0.1:5432/trader"
    postgres_tls: bool = False
    postgres_role: str = Field(default="", pattern=r"^[a-z_]{0,60}$")
    redis_address: str = "127.0.0.1:6379/0"
    redis_tls: bool = False
    redis_user: str = Field(default="", pattern=r"^[a-z_]{0,60}$")
    ca_file: FilePath | None = None
    secrets_dir: Path = Path("/run/secrets")
    config_files: tuple[Path, ...] = ()
    health_host: str = "127.0.0.1"
    health_port: Port = 0
    log_level: str = Field(default="INFO", pattern=r"^(DEBUG|INFO|WARNING|ERROR)$")
    installation: str = Field(default="000000", pattern=r"^[a-z0-9]{6}$")
    exchange_rest_url: str = "https://api.binance.com"
    exchange_ws_url: str = "wss://stream.binance.com"
    exchange_keys_file: Path | None = None
    halt_dir: Path = Path("halt")
    operators_file: Path = Path("operators.json")
    build: str = Field(default="", max_length=200)
    start_active: bool = False

    @field_validator("kafka_sasl_mechanism")
    @classmethod
    def _keeps_the_password(cls, mechanism: Mechanism, info: ValidationInfo) -> Mechanism:
        if mechanism == "PLAIN" and info.data.get("kafka_security_protocol") == "SASL_PLAINTEXT":
            raise ValueError("SCRAM, or TLS around PLAIN, which tells the password itself: set SASL_SSL")
        return mechanism

    @property
    def program(self) -> str:
        """Which program this is; processes that differ must not trade together."""
        return self.build or _version()

    def postgres_dsn(self, service: str) -> str:
        """Return the connection string of a service's role, with the password from its file.

        Raises:
            ConfigurationError: The secret file is missing or unreadable.
        """
        role = self.postgres_role or service
        password = self.secret(f"postgres-{role}")
        tls = f"?sslmode=verify-full&sslrootcert={quote(str(self.postgres_authorities))}" if self.postgres_tls else ""
        return f"postgresql://{role}:{quote(password, safe='')}@{self.postgres_address}{tls}"

    @property
    def postgres_authorities(self) -> Path | None:
        """The certificate authorities that Postgres is believed by; None: no TLS."""
        return (self.ca_file or CERTIFICATES) if self.postgres_tls else None

    def kafka_login(self, service: str) -> KafkaLogin | None:
        """Return who a service is at the cluster, with the password from its file; None: it is not asked.

        Raises:
            ConfigurationError: The secret file is missing or unreadable.
        """
        if self.kafka_security_protocol == "PLAINTEXT":
            return None
        user = self.kafka_user or service
        return KafkaLogin(
            user,
            self.secret(f"kafka-{user}"),
            mechanism=self.kafka_sasl_mechanism,
            is_encrypted=self.kafka_security_protocol == "SASL_SSL",
            ca_file=self.ca_file,
        )

    def redis_url(self) -> str:
        """Return the Redis address with the user and the password from its file.

        Raises:
            ConfigurationError: The secret file is missing or unreadable.
        """
        secret = self.secret(f"redis-{self.redis_user}" if self.redis_user else "redis")
        login = f"{self.redis_user}:{quote(secret, safe='')}"
        if not self.redis_tls:
            return f"redis://{login}@{self.redis_address}"
        authorities = f"?ssl_ca_certs={quote(str(self.ca_file))}" if self.ca_file is not None else ""
        return f"rediss://{login}@{self.redis_address}{authorities}"

    def secret(self, name: str) -> str:
        """Return a secret's text without surrounding white space.

        Raises:
            ConfigurationError: The file is missing, unreadable or empty.
        """
        path = self.secrets_dir / name
        try:
            text = path.read_text(encoding="utf-8").strip()
        except OSError as error:
            raise ConfigurationError(
                where=str(path),
                expected="a secret file that this process can read",
                found=error.strerror or str(error),
                hint="check TRADER_SECRETS_DIR and the file's owner and mode",
            ) from error
        except UnicodeDecodeError:
            # Its context would show a part of the secret.
            raise ConfigurationError(where=str(path), expected="UTF-8 text", found="other bytes") from None
        if not text:
            raise ConfigurationError(where=str(path), expected="a secret", found="an empty file")
        return text


SettingsT = TypeVar("SettingsT", bound=ServiceSettings)


def load_settings(settings_type: type[SettingsT]) -> SettingsT:
    """Read the settings from the environment.

    Raises:
        ConfigurationError: The first variable that is wrong.
    """
    try:
        return settings_type()
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = ".".join(str(part) for part in first["loc"])
        raise ConfigurationError(
            where=f"environment variable TRADER_{name.upper()}", expected=first["msg"], found=repr(first["input"])[:100]
        ) from error
    except SettingsError as error:
        raise ConfigurationError(
            where="environment variables TRADER_…", expected="JSON where a list stands", found=str(error)
        ) from error


@cache
def _version() -> str:
    """Return this distribution's version, which is parsed out of its metadata file each time anybody asks."""
    return version("crypto-trader-pro")
