"""How a process proves to the Kafka cluster who it is: by a password, with or without TLS around it."""

import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

Mechanism = Literal["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"]


@dataclass(frozen=True, slots=True)
class KafkaLogin:
    """A user of the cluster.

    Attributes:
        user: The name that the cluster's access lists know.
        password: Its password; never shown.
        mechanism: How the password is told.
        is_encrypted: Speak TLS.
        ca_file: The certificate authorities that the cluster is believed by, in PEM; None: this machine's own.
    """

    user: str
    password: str = field(repr=False)
    mechanism: Mechanism = "SCRAM-SHA-512"
    is_encrypted: bool = False
    ca_file: Path | None = None

    def options(self) -> dict[str, Any]:
        """Return the settings of aiokafka's clients."""
        return {
            "security_protocol": "SASL_SSL" if self.is_encrypted else "SASL_PLAINTEXT",
            "sasl_mechanism": self.mechanism,
            "sasl_plain_username": self.user,
            "sasl_plain_password": self.password,
            "ssl_context": ssl.create_default_context(cafile=self.ca_file) if self.is_encrypted else None,
        }
