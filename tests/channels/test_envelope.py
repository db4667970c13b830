"""The envelope: whatever is put in comes out, whatever was changed does not."""

import base64

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import given, settings
from hypothesis import strategies as st

from service.channels.envelope import Envelope, aes_key, decrypted, encrypted
from tests.channels.platforms import KEY, OTHER_KEY


@settings(deadline=None, derandomize=True)
@given(st.binary(max_size=200), st.text("wxabc123", max_size=40))
def test_every_length_comes_back(message: bytes, receive_id: str) -> None:
    sealed = encrypted(aes_key(KEY), message, receive_id)
    assert len(base64.b64decode(sealed)) % 32 == 0
    assert decrypted(aes_key(KEY), sealed) == (message, receive_id.encode())


def test_the_same_message_never_looks_the_same() -> None:
    assert len({encrypted(aes_key(KEY), b"m", "wx") for _ in range(20)}) == 20


@settings(deadline=None, derandomize=True)
@given(st.binary(max_size=130) | st.integers(0, 8).flatmap(lambda n: st.binary(min_size=16 * n)))
def test_rubbish_raises_nothing_but_value_error(sealed: bytes) -> None:
    try:
        decrypted(aes_key(KEY), base64.b64encode(sealed).decode())
    except ValueError:
        return


@pytest.mark.parametrize("sealed", ["", "=", "AAAA", "社保", "A" * 43, "!!!!" * 16, "\ud800"])
def test_what_is_no_ciphertext_is_refused_before_decrypting(sealed: str) -> None:
    with pytest.raises(ValueError):
        decrypted(aes_key(KEY), sealed)


def sealed_as_it_is(padded: bytes) -> str:
    """Encrypt without padding, to say what no platform would."""
    key = aes_key(KEY)
    cipher = Cipher(algorithms.AES(key), modes.CBC(key[:16])).encryptor()
    return base64.b64encode(cipher.update(padded) + cipher.finalize()).decode()


@pytest.mark.parametrize(
    ("padded", "why"),
    [
        (b"p" * 16 + b"\0\0\0\x01mwx" + b"\x09" * 9, None),
        (b"p" * 16 + b"\0\0\0\x01mwx" + b"x" * 8 + b"\x09", "padding"),
        (b"p" * 16 + b"\0\0\0\x01mwx" + b"x" * 8 + b"\x00", "padding"),
        (b"p" * 16 + b"\0\0\0\x01mwx" + b"\x29" * 41, "padding"),
        (b"p" * 16 + b"\xff\xff\xff\xffmwx" + b"\x09" * 9, "shorter than"),
        (b"p" * 16 + b"\0\0" + b"\x0e" * 14, "too short"),
        (b"\x10" * 16, "too short"),
    ],
)
def test_what_is_inside_must_agree_with_itself(padded: bytes, why: str | None) -> None:
    if why is None:
        assert decrypted(aes_key(KEY), sealed_as_it_is(padded)) == (b"m", b"wx")
        return
    with pytest.raises(ValueError, match=why):
        decrypted(aes_key(KEY), sealed_as_it_is(padded))


@pytest.mark.parametrize("key", ["", "A" * 42, "A" * 44, "*" * 43, "社" * 43])
def test_a_key_that_is_none_is_refused(key: str) -> None:
    with pytest.raises(ValueError):
        Envelope("token", keys=[key], receive_ids=["wx"])
    with pytest.raises(ValueError, match="no key"):
        Envelope("token", keys=[], receive_ids=["wx"])


def test_another_key_opens_nothing() -> None:
    """Its padding may be right by chance; the receiver never is."""
    for _ in range(600):
        try:
            _, receive_id = decrypted(aes_key(OTHER_KEY), encrypted(aes_key(KEY), b"m", "wx"))
        except ValueError:
            continue
        assert receive_id != b"wx"
