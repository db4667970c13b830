"""Text → ranked keys: tokenising, BM25, vectors, fusion and the index that holds them."""

from embeddings.confidence import Evidence, confidence
from embeddings.encoder import Encoder, HashingEncoder, SentenceEncoder
from embeddings.errors import EncoderUnavailable, IndexUnavailable, RetrievalError
from embeddings.retriever import Hit, Retriever
from embeddings.segment import Item

__all__ = [
    "Encoder",
    "EncoderUnavailable",
    "Evidence",
    "HashingEncoder",
    "Hit",
    "IndexUnavailable",
    "Item",
    "RetrievalError",
    "Retriever",
    "SentenceEncoder",
    "confidence",
]
