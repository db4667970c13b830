"""Everything that can go wrong in retrieval.

RetrievalError
├ EncoderUnavailable   the embedding model is missing or failed to load
└ IndexUnavailable     the index on disk cannot be read; `reindex` rebuilds it
"""


class RetrievalError(Exception):
    """Base of all errors of this package."""


class EncoderUnavailable(RetrievalError):  # noqa: N818
    """No vectors can be computed: the model is missing or broken."""


class IndexUnavailable(RetrievalError):  # noqa: N818
    """The stored index is missing a part, damaged or of another format."""
