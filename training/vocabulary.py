"""Corpora → the tokenizer of the shipped model: a Unigram model over jieba's words.

A trained Unigram model did no better in more time. Pieces are the words that jieba finds in the
corpora and every single character; their scores are log frequencies, counted once with jieba and
once more with the tokenizer that results.
"""

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from multiprocessing import Pool

import jieba
from tokenizers import Regex, Tokenizer, models, pre_tokenizers

SIZE = 48_000
# A word of the corpora must occur this often, one of people's questions less often.
LEAST_COUNT = 5
LEAST_ASKED = 2
LONGEST = 6

_RUN = re.compile("[\u4e00-\u9fff]+|[a-z0-9]+")
_WORD = re.compile("[\u4e00-\u9fff]+|[a-z]+")
_SINGLE = re.compile("[\u4e00-\u9fff]|[a-z0-9]")


def build(texts: Sequence[str], asked: Iterable[str]) -> Tokenizer:
    """Make a tokenizer of at most `SIZE` pieces from normalised texts and people's questions."""
    chunks = [texts[at : at + 2000] for at in range(0, len(texts), 2000)]
    counts: Counter[str] = Counter()
    with Pool(2) as pool:
        for counted in pool.imap(_count, chunks):
            counts.update(counted)
    in_questions = _count(asked)
    singles = sorted({char for word in counts for char in word if _SINGLE.fullmatch(char)})
    words = [
        word
        for word, count in sorted(counts.items(), key=lambda row: (-row[1], row[0]))
        if 1 < len(word) <= LONGEST
        and _WORD.fullmatch(word)
        and (count >= LEAST_COUNT or in_questions[word] >= LEAST_ASKED)
    ][: SIZE - len(singles) - 1]
    first = _tokenizer(_scores([*words, *singles], counts))
    again: Counter[str] = Counter()
    for encoded in first.encode_batch(texts):
        again.update(encoded.tokens)
    return _tokenizer(_scores([*words, *singles], again))


def _count(texts: Iterable[str]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for text in texts:
        for run in _RUN.findall(text):
            counts.update(jieba.lcut(run))
    return counts


def _scores(pieces: Sequence[str], counts: Counter[str]) -> list[tuple[str, float]]:
    total = sum(counts.values())
    return [(piece, math.log(max(counts[piece], 0.5) / total)) for piece in pieces]


def _tokenizer(scores: list[tuple[str, float]]) -> Tokenizer:
    tokenizer = Tokenizer(models.Unigram([("[UNK]", 0.0), *scores], unk_id=0, byte_fallback=False))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(
        Regex("[\u4e00-\u9fff]+|[a-z]+|[0-9]"), behavior="removed", invert=True
    )
    return tokenizer
