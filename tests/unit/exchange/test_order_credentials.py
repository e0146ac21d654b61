import base64
import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from libs.common.errors import ConfigurationError
from libs.exchange.credentials import Credentials, load_credentials


def pem_of(key: object) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()  # type: ignore[attr-defined,no-any-return]


def test_an_hmac_secret_signs_as_binance_documents():
    # The example of Binance's "Request security": HMAC SHA256, with its key, secret and payload.
    credentials = Credentials(
        "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A",
        "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j",
    )
    payload = (
        "symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1&recvWindow=5000&timestamp=1499827319559"
    )

    assert credentials.sign(payload) == "c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71"


def test_an_ed25519_key_signs_verifiably():
    key = Ed25519PrivateKey.generate()

    signature = Credentials("key", pem_of(key)).sign("payload")

    key.public_key().verify(base64.b64decode(signature), b"payload")


def test_no_text_form_shows_a_secret():
    assert "hidden" not in repr(Credentials("hidden-key", "hidden-secret"))


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", '{"main": {}}', '{"other": {"api_key": "a", "api_secret": "b"}}'],
)
def test_a_file_without_the_accounts_key_is_a_configuration_error(tmp_path: Path, content: str):
    path = tmp_path / "keys.json"
    path.write_text(content)

    with pytest.raises(ConfigurationError, match="main"):
        load_credentials(path, "main")


def test_a_key_of_another_kind_is_a_configuration_error(tmp_path: Path):
    rsa = generate_private_key(public_exponent=65_537, key_size=2_048)
    path = tmp_path / "keys.json"
    path.write_text(json.dumps({"main": {"api_key": "a", "api_secret": pem_of(rsa)}}))

    with pytest.raises(ConfigurationError, match="Ed25519"):
        load_credentials(path, "main")


def test_a_missing_file_or_setting_is_a_configuration_error(tmp_path: Path):
    with pytest.raises(ConfigurationError, match="No such file"):
        load_credentials(tmp_path / "none.json", "main")
    with pytest.raises(ConfigurationError, match="TRADER_EXCHANGE_KEYS_FILE"):
        load_credentials(None, "main")


def test_a_key_is_read(tmp_path: Path):
    path = tmp_path / "keys.json"
    path.write_text(json.dumps({"main": {"api_key": "a", "api_secret": "b\n"}}))

    assert load_credentials(path, "main") == Credentials("a", "b")
