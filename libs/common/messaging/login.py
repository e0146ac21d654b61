"""How a process proves to the Kafka cluster who it is: SCRAM-SHA-512, with or without TLS around it."""

import ssl
from dataclasses import dataclass, field
from typing import Any, Final

MECHANISM: Final = "SCRAM-SHA-512"


@dataclass(frozen=True, slots=True)
class KafkaLogin:
    """A user of the cluster.

    Attributes:
        user: The name that the cluster's access lists know.
        password: Its password; never shown.
        is_encrypted: Speak TLS, and believe the certificate authorities of this machine.
    """

    user: str
    password: str = field(repr=False)
    is_encrypted: bool = False

    def options(self) -> dict[str, Any]:
        """Return the settings of aiokafka's clients."""
        return {
            "security_protocol": "SASL_SSL" if self.is_encrypted else "SASL_PLAINTEXT",
            "sasl_mechanism": MECHANISM,
            "sasl_plain_username": self.user,
            "sasl_plain_password": self.password,
            "ssl_context": ssl.create_default_context() if self.is_encrypted else None,
        }
