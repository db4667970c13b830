"""One contract over both encoders: unit rows, zero rows, and one error for every failure."""

from __future__ import annotations

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

from embeddings import Encoder, EncoderUnavailable, HashingEncoder, SentenceEncoder
from embeddings.encoder import unit

CHARACTERS = "社保医疗公积金住房失业生育养老怎么办理缴纳提取申请补贴"


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


@pytest.fixture(scope="module", params=["hashing", "sentence"])
def encoder(request: pytest.FixtureRequest, model: Path) -> Encoder:
    return HashingEncoder(64) if request.param == "hashing" else SentenceEncoder(str(model))


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
    assert 0 < encoder.trust < 1


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
    }
    assert len(prints) == 3
    assert SentenceEncoder(str(model)).fingerprint in prints


def test_another_model_in_the_same_folder_has_another_fingerprint(tmp_path: Path) -> None:
    before = SentenceEncoder(str(save_model(tmp_path, seed=2))).fingerprint
    after = SentenceEncoder(str(save_model(tmp_path, seed=3))).fingerprint
    assert before != after


def test_missing_model_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(EncoderUnavailable, match="无法加载向量模型"):
        SentenceEncoder(str(tmp_path / "none"))


def test_a_folder_without_a_model_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "modules.json").write_text("[不是 JSON", encoding="utf-8")
    with pytest.raises(EncoderUnavailable):
        SentenceEncoder(str(tmp_path))


def test_a_text_that_the_model_cannot_take_is_unavailable(model: Path) -> None:
    with pytest.raises(EncoderUnavailable, match="向量模型计算失败"):
        SentenceEncoder(str(model)).encode(["\ud800"])


def test_rows_that_are_not_finite_become_zero() -> None:
    rows = unit(np.array([[3, 4], [0, 0], [np.nan, 1], [np.inf, 0]], dtype=np.float32))
    expected = np.array([[0.6, 0.8], [0, 0], [0, 1], [0, 0]])
    np.testing.assert_allclose(rows, expected, atol=1e-6)
