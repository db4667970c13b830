"""Tokens: spelling variants fold together, nothing is invented, no text breaks anything."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from embeddings.tokenizer import STOP_WORDS, matter, normalise, pairs, words

repeatable = settings(deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
any_text = st.text(alphabet=st.characters(exclude_categories=()), max_size=60)
plain_text = st.text(alphabet="社保医疗金缴纳办理年月日 ，。？ab12.的了", max_size=60)


@pytest.mark.parametrize(
    ("written", "folded"),
    [
        ("ＡＢＣ１２３", "abc123"),
        ("醫療保險", "医疗保险"),
        ("社\u200b保\ufeff卡", "社保卡"),
        ("\u202e社保\u202c", "社保"),
        ("①号窗口", "1号窗口"),
        ("㈱", "(株)"),
        ("iPhone", "iphone"),
        ("", ""),
    ],
)
def test_spelling_variants_fold_together(written: str, folded: str) -> None:
    assert normalise(written) == folded


@repeatable
@given(plain_text)
def test_folding_twice_changes_nothing(text: str) -> None:
    assert normalise(normalise(text)) == normalise(text)


@repeatable
@given(any_text)
def test_any_text_can_be_read(text: str) -> None:
    folded = normalise(text)
    assert all(words(folded)) or not words(folded)
    assert all(token in folded for token in pairs(folded))


def test_half_a_surrogate_pair_does_not_break_the_rest() -> None:
    assert "医保" in words(normalise("\ud83d医保"))


def test_words_leave_out_stop_words_and_punctuation() -> None:
    found = words(normalise("请问，我的社保卡在哪里办理？"))
    assert "社保卡" in found or "社保" in found
    assert not STOP_WORDS.intersection(found)
    assert "，" not in found and "？" not in found


def test_a_long_word_is_found_by_the_words_inside_it() -> None:
    found = words("中华人民共和国")
    assert {"中华人民共和国", "共和国", "人民"} <= set(found)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("？！", []),
        ("税", ["税"]),
        ("医保卡", ["医保", "保卡"]),
        ("交医保abc，3.5万元", ["交医", "医保", "abc", "3.5", "万元"]),
        ("a-b", ["a", "b"]),
        ("\U00020000\U00020001", ["\U00020000\U00020001"]),
    ],
)
def test_pairs(text: str, expected: list[str]) -> None:
    assert pairs(text) == expected


@repeatable
@given(st.text(alphabet="社保医疗金缴纳办理", min_size=2, max_size=30))
def test_a_run_of_n_characters_has_n_minus_1_pairs_that_spell_it(run: str) -> None:
    found = pairs(run)
    assert len(found) == len(run) - 1
    assert found[0] + "".join(pair[1] for pair in found[1:]) == run


@pytest.mark.parametrize(
    ("question", "left"),
    [
        ("请问失业金怎么办理", "失业金"),
        ("有没有生育津贴的", "生育津贴"),
        ("社保卡丢失补办需要什么材料", "社保卡丢失补办需要 材料"),
        ("怎么办", ""),
    ],
)
def test_matter_is_what_remains_without_asking_words(question: str, left: str) -> None:
    assert matter(question).strip() == left
