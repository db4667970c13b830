"""Pseudonyms and seals: stable, bound to the key, and honest about damage."""

import pytest

from service.sealing import PSEUDONYM_DIGITS, Sealer


def test_a_pseudonym_is_stable_and_differs_by_person_and_installation() -> None:
    sealer = Sealer("k1")
    ours = sealer.pseudonym("wechat", "gh_1", "openid")
    assert ours == Sealer("k1").pseudonym("wechat", "gh_1", "openid")
    assert len(ours) == PSEUDONYM_DIGITS and "openid" not in ours
    others = {
        sealer.pseudonym("wechat", "gh_1", "other"),
        sealer.pseudonym("wechat", "gh_1openid", ""),
        Sealer("k2").pseudonym("wechat", "gh_1", "openid"),
    }
    assert ours not in others and len(others) == 3


def test_what_is_sealed_opens_with_the_same_key_only() -> None:
    sealed = Sealer("k1").seal("13800138000")
    assert "13800138000" not in sealed
    assert Sealer("k1").open(sealed) == "13800138000"
    for broken in (sealed[:-4] + "AAAA", "nonsense"):
        with pytest.raises(ValueError, match="sealed with another key"):
            Sealer("k1").open(broken)
    with pytest.raises(ValueError, match="sealed with another key"):
        Sealer("k2").open(sealed)


def test_nothing_sealed_is_nothing() -> None:
    assert Sealer("k").seal("") == "" and Sealer("k").open("") == ""
