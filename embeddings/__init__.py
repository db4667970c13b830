"""Text → ranked keys: tokenising, BM25, vectors, fusion and the index that holds them."""

from embeddings.confidence import Evidence, calibration, confidence
from embeddings.encoder import Encoder, HashingEncoder, SentenceEncoder, StaticEncoder
from embeddings.errors import EncoderUnavailable, IndexUnavailable, RetrievalError
from embeddings.retriever import Explanation, Hit, Retriever
from embeddings.segment import Item
from embeddings.tokenizer import normalise

__all__ = [
    "Encoder",
    "EncoderUnavailable",
    "Evidence",
    "Explanation",
    "HashingEncoder",
    "Hit",
    "IndexUnavailable",
    "Item",
    "RetrievalError",
    "Retriever",
    "SentenceEncoder",
    "StaticEncoder",
    "calibration",
    "confidence",
    "normalise",
]
