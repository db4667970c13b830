"""Text → ranked keys: tokenising, BM25, vectors, fusion and the index that holds them."""

from embeddings.confidence import Evidence, calibration, confidence
from embeddings.encoder import Encoder, HashingEncoder, SentenceEncoder, StaticEncoder
from embeddings.errors import EncoderUnavailable, IndexUnavailable, RetrievalError
from embeddings.pinyin import INITIAL, PinyinReader, Reading, pieces
from embeddings.retriever import Explanation, Hit, Retriever
from embeddings.segment import Item
from embeddings.spelling import Correction, Speller, applied, look_alikes
from embeddings.tokenizer import normalise, segment
from embeddings.typeahead import Typeahead, Typed, folded
from embeddings.vocabulary import Vocabulary

__all__ = [
    "INITIAL",
    "Correction",
    "Encoder",
    "EncoderUnavailable",
    "Evidence",
    "Explanation",
    "HashingEncoder",
    "Hit",
    "IndexUnavailable",
    "Item",
    "PinyinReader",
    "Reading",
    "RetrievalError",
    "Retriever",
    "SentenceEncoder",
    "Speller",
    "StaticEncoder",
    "Typeahead",
    "Typed",
    "Vocabulary",
    "applied",
    "calibration",
    "confidence",
    "folded",
    "look_alikes",
    "normalise",
    "pieces",
    "segment",
]
