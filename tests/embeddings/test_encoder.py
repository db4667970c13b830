"""One contract over all encoders: unit rows, zero rows, and one error for every failure."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import StaticEmbedding
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Split

from embeddings import (
    Encoder,
    EncoderUnavailable,
    HashingEncoder,
    SentenceEncoder,
    StaticEncoder,
)
from embeddings.encoder import unit
from embeddings.tokenizer import normalise

CHARACTERS = "社保医疗公积金住房失业生育养老怎么办理缴纳提取申请补贴"
SHIPPED = Path(__file__).parents[2] / "embeddings" / "model"
TEXTS = (
    "社会保障卡丢失后如何补办",
    "社會保障卡遺失補辦",
    "怎样申领失业保险金？需要哪些材料？",
    "住房公积金可以用来付房租吗",
    "第十二条 停车场应当在入口处标明车位数量和计费办法，并开具票据。",
    "ETC车辆通行费9.5折",
    "2024年5月1日起施行，有效期至2029年4月30日。",
    "ＡＢＣ１２３",
    "电话：0532-12345，工作日 9:00—17:00",
    "https://example.org/a?b=c",
    "老人八十岁以上每月一百元，一百岁以上每月五百元",
    "（一）身份证原件；（二）居住证；（三）结婚证。",
    "hello world",
    "龘靐齉",
    "我🙂想问问",
    "停" * 400,
    "\u200b社\u200b保",
    "  ",
    "。",
    "1",
)


def save_model(folder: Path, seed: int) -> Path:
    """Make a model of one random vector a character, in the sentence-transformers format."""
    vocabulary = {"[UNK]": 0} | {each: at for at, each in enumerate(CHARACTERS, start=1)}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Split("", "isolated")
    table = np.random.default_rng(seed).normal(size=(len(vocabulary), 16)).astype(np.float32)
    module = StaticEmbedding(tokenizer, embedding_weights=table)
    SentenceTransformer(modules=[module], device="cpu").save(str(folder))
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp("model"), seed=1)


@pytest.fixture(scope="module", params=["hashing", "static", "shipped", "sentence"])
def encoder(request: pytest.FixtureRequest, model: Path) -> Encoder:
    make: dict[str, Callable[[], Encoder]] = {
        "hashing": lambda: HashingEncoder(64),
        "static": lambda: StaticEncoder(model),
        "shipped": lambda: StaticEncoder(SHIPPED),
        "sentence": lambda: SentenceEncoder(str(model)),
    }
    return make[request.param]()


@pytest.fixture(scope="module")
def shipped() -> StaticEncoder:
    return StaticEncoder(SHIPPED)


def test_one_unit_row_a_text(encoder: Encoder) -> None:
    vectors = encoder.encode(["社保怎么缴纳", "提取公积金", "养老"])
    assert vectors.shape == (3, encoder.dimensions)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)


def test_a_text_without_tokens_is_a_zero_row(encoder: Encoder) -> None:
    vectors = encoder.encode(["", "医保"])
    assert not vectors[0].any()
    assert vectors[1].any()


def test_no_texts_no_rows(encoder: Encoder) -> None:
    assert encoder.encode([]).shape == (0, encoder.dimensions)


def test_a_text_is_encoded_alike_alone_and_among_others(encoder: Encoder) -> None:
    together = encoder.encode(["社保", "申请生育补贴怎么办理", ""])
    np.testing.assert_allclose(together[0], encoder.encode(["社保"])[0], atol=1e-6)


def test_shared_wording_is_nearer_than_none(encoder: Encoder) -> None:
    base, near, far = encoder.encode(["失业补贴申请", "申请失业补贴", "公积金提取"])
    assert base @ near > base @ far


def test_trust_is_a_share(encoder: Encoder) -> None:
    assert 0 < encoder.trust <= 1


def test_the_encoder_that_ranking_was_learned_with_is_trusted_most(shipped: StaticEncoder) -> None:
    assert shipped.trust == 1.0
    assert max(HashingEncoder.trust, SentenceEncoder.trust) < 1


@settings(
    max_examples=50, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
@given(st.lists(st.text(max_size=30), max_size=4))
def test_rows_are_finite_and_of_length_one_or_zero(texts: list[str]) -> None:
    lengths = np.linalg.norm(HashingEncoder(32).encode(texts), axis=1)
    assert all(length == pytest.approx(1, abs=1e-5) or length == 0 for length in lengths)


def test_fingerprints_tell_encoders_and_dimensions_apart(model: Path) -> None:
    prints = {
        HashingEncoder(64).fingerprint,
        HashingEncoder(128).fingerprint,
        SentenceEncoder(str(model)).fingerprint,
        StaticEncoder(model).fingerprint,
    }
    assert len(prints) == 4
    assert SentenceEncoder(str(model)).fingerprint in prints
    assert StaticEncoder(model).fingerprint in prints


@pytest.mark.parametrize("make", [lambda folder: SentenceEncoder(str(folder)), StaticEncoder])
def test_another_model_in_the_same_folder_has_another_fingerprint(
    make: Callable[[Path], Encoder], tmp_path: Path
) -> None:
    before = make(save_model(tmp_path, seed=2)).fingerprint
    after = make(save_model(tmp_path, seed=3)).fingerprint
    assert before != after


def test_a_static_fingerprint_tells_the_table_and_the_tokenizer_but_not_the_folder(
    model: Path, tmp_path: Path
) -> None:
    expected = StaticEncoder(model).fingerprint
    copy = Path(shutil.copytree(model, tmp_path / "copy"))
    assert StaticEncoder(copy).fingerprint == expected
    tokenizer = Tokenizer.from_file(str(copy / "tokenizer.json"))
    tokenizer.pre_tokenizer = Split("卡", "isolated")
    tokenizer.save(str(copy / "tokenizer.json"))
    assert StaticEncoder(copy).fingerprint != expected


def test_missing_model_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(EncoderUnavailable, match="无法加载向量模型"):
        SentenceEncoder(str(tmp_path / "none"))


def test_a_folder_without_a_model_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "modules.json").write_text("[不是 JSON", encoding="utf-8")
    with pytest.raises(EncoderUnavailable):
        SentenceEncoder(str(tmp_path))


def cut(file: Path) -> None:
    os.truncate(file, file.stat().st_size // 2)


BREAK: dict[str, Callable[[Path], object]] = {
    "no folder": lambda folder: shutil.rmtree(folder),
    "no modules.json": lambda folder: (folder / "modules.json").unlink(),
    "garbage modules.json": lambda folder: (folder / "modules.json").write_text("[不是 JSON"),
    "modules.json of nothing": lambda folder: (folder / "modules.json").write_text("null"),
    "another kind of model": lambda folder: (folder / "modules.json").write_text(
        json.dumps([{"path": "", "type": "sentence_transformers.models.Transformer"}])
    ),
    "no tokenizer.json": lambda folder: (folder / "tokenizer.json").unlink(),
    "garbage tokenizer.json": lambda folder: (folder / "tokenizer.json").write_text('{"a": 1}'),
    "truncated tokenizer.json": lambda folder: cut(folder / "tokenizer.json"),
    "no table": lambda folder: (folder / "model.safetensors").unlink(),
    "truncated table": lambda folder: cut(folder / "model.safetensors"),
    "empty table": lambda folder: os.truncate(folder / "model.safetensors", 0),
}


@pytest.mark.parametrize("harm", [*BREAK])
def test_a_broken_static_model_is_unavailable(model: Path, tmp_path: Path, harm: str) -> None:
    folder = Path(shutil.copytree(model, tmp_path / "model"))
    StaticEncoder(folder)
    BREAK[harm](folder)
    with pytest.raises(EncoderUnavailable, match="无法读取向量模型"):
        StaticEncoder(folder)


def test_a_text_that_the_model_cannot_take_is_unavailable(model: Path) -> None:
    with pytest.raises(EncoderUnavailable, match="向量模型计算失败"):
        SentenceEncoder(str(model)).encode(["\ud800"])


def test_rows_that_are_not_finite_become_zero() -> None:
    rows = unit(np.array([[3, 4], [0, 0], [np.nan, 1], [np.inf, 0]], dtype=np.float32))
    expected = np.array([[0.6, 0.8], [0, 0], [0, 1], [0, 0]])
    np.testing.assert_allclose(rows, expected, atol=1e-6)


def test_a_static_encoder_computes_what_sentence_transformers_computes(
    model: Path, shipped: StaticEncoder
) -> None:
    texts = [normalise(text) for text in TEXTS]
    # The product computes in single precision whatever the table is stored in.
    reference = SentenceTransformer(str(SHIPPED), device="cpu").float()
    np.testing.assert_allclose(shipped.encode(texts), reference.encode(texts), atol=1e-5)
    np.testing.assert_allclose(
        StaticEncoder(model).encode(texts), SentenceEncoder(str(model)).encode(texts), atol=1e-5
    )


def test_texts_without_known_tokens_are_zero_rows(shipped: StaticEncoder) -> None:
    vectors = shipped.encode(["", "  ", "。！？", "\u200b", "🙂", "龘靐齉", "\ud800", "社保"])
    assert np.isfinite(vectors).all()
    assert not vectors[:-1].any()
    assert vectors[-1].any()


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("社會保障卡遺失補辦", "社会保障卡遗失补办"),
        ("ＥＴＣ通行費９折", "etc通行费9折"),
        ("社\u200b保卡", "社保卡"),
    ],
)
def test_variants_of_spelling_are_one_text(shipped: StaticEncoder, left: str, right: str) -> None:
    ours, theirs = shipped.encode([left, right])
    assert ours.any()
    np.testing.assert_array_equal(ours, theirs)


def test_many_and_long_texts_are_encoded_like_few_and_all_of_them(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = StaticEncoder(model)
    texts = [*TEXTS, "社保" * 5000 + "住房", "住房" * 5000]
    expected = np.concatenate([encoder.encode([text]) for text in texts])
    np.testing.assert_array_equal(encoder.encode(texts), expected)
    monkeypatch.setattr("embeddings.encoder._TEXTS_AT_ONCE", 3)
    np.testing.assert_array_equal(encoder.encode(texts), expected)
    without_end = encoder.encode(["社保" * 5000])[0]
    assert not np.array_equal(expected[-2], without_end)


def test_a_model_that_cuts_long_texts_is_read_without_the_cut(model: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(model, tmp_path / "model"))
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_truncation(2)
    tokenizer.save(str(folder / "tokenizer.json"))
    text = ["社保医疗公积金"]
    np.testing.assert_array_equal(
        StaticEncoder(folder).encode(text), StaticEncoder(model).encode(text)
    )


def test_the_shipped_model_is_small_and_loads_in_sentence_transformers(
    shipped: StaticEncoder,
) -> None:
    size = sum(file.stat().st_size for file in SHIPPED.rglob("*") if file.is_file())
    assert size <= 60_000_000
    texts = [normalise(text) for text in TEXTS[:6]]
    vectors = SentenceEncoder(str(SHIPPED)).encode(texts)
    assert vectors.shape == (6, shipped.dimensions)
    np.testing.assert_allclose(vectors, shipped.encode(texts), atol=2e-3)


def test_the_shipped_model_knows_what_means_the_same(shipped: StaticEncoder) -> None:
    asked, near, far = shipped.encode(
        ["丢了工作能领多少钱", "失业保险金的发放标准", "犬只登记和免疫"]
    )
    assert asked @ near > asked @ far
