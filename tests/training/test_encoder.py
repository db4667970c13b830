"""Training an encoder on a handful of texts: every step of it, in a second."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from embeddings import StaticEncoder
from training import company, encoder, vocabulary
from training.pairs import Task

TEXTS = [
    "用人单位应当按月支付劳动报酬",
    "老板拖欠工资可以投诉",
    "夫妻离婚应当登记",
    "两口子分手要去民政局",
    "职工应当参加工伤保险",
    "上班受伤了单位要赔",
] * 6


def test_a_vocabulary_cuts_words_and_knows_every_character() -> None:
    tokenizer = vocabulary.build(TEXTS, TEXTS)
    assert tokenizer.encode("老板参加工伤保险").tokens == ["老板", "参加", "工伤保险"]
    assert tokenizer.encode("资工，欠").tokens == ["资", "工", "欠"]
    assert tokenizer.encode("☂").ids == []
    assert tokenizer.token_to_id("[UNK]") == 0


def test_words_of_like_company_are_close(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(company, "SUBSAMPLING", 1.0)
    ids = [np.array(row, dtype=np.int64) for row in ([1, 2, 3], [1, 4, 3], [5, 6, 7], [5, 8, 7])]
    table = company.table(ids * 30, 9, 4)
    unit = table / np.maximum(np.linalg.norm(table, axis=1, keepdims=True), 1e-9)
    assert unit[2] @ unit[4] > 0.9
    assert unit[2] @ unit[6] < 0.5
    assert not table[0].any()


def test_learning_brings_pairs_together_and_saves_what_it_learned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoder, "STEPS", 200)
    monkeypatch.setattr(encoder, "RATE", 0.03)
    tokenizer = vocabulary.build(TEXTS, TEXTS)
    task = Task(1.0)
    for at in (0, 2, 4):
        task.add(TEXTS[at], TEXTS[at + 1], TEXTS[at], wrong=TEXTS[(at + 3) % 6])
    torch.manual_seed(0)
    start = torch.rand(tokenizer.get_vocab_size(), 8)
    learned = encoder.learn(tokenizer, start, [task])
    encoder.save(tokenizer, learned, tmp_path)
    model = StaticEncoder(tmp_path)
    left, right = model.encode(TEXTS[0:6:2]), model.encode(TEXTS[1:6:2])
    cosines = left @ right.T
    assert (cosines.argmax(axis=1) == np.arange(3)).all()
    assert model.dimensions == 8
