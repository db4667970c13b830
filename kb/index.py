"""The searchable form of the knowledge base: clauses and entries, each in an index of its own.

Apart, neither crowds out the other, and how rare a word is gets counted among texts of its own
kind: a reviewed answer is found alike beside ten documents and beside a hundred thousand.
"""

from dataclasses import dataclass, field
from pathlib import Path

from embeddings import Encoder, Retriever, Typeahead


@dataclass(frozen=True)
class Index:
    """Two retrievers, each of which follows the change log for groups of its own kind.

    Attributes:
        questions: wordings of entries, for what is still being typed; only in memory.
        titles: titles of documents, likewise.
    """

    clauses: Retriever
    entries: Retriever
    questions: Typeahead = field(default_factory=Typeahead)
    titles: Typeahead = field(default_factory=Typeahead)

    @classmethod
    def open(cls, encoder: Encoder, folder: Path) -> "Index":
        """Open the index kept in a folder; what is damaged starts anew from empty."""
        return cls(
            Retriever.open(encoder, folder / "clauses", ranking="clauses"),
            Retriever.open(encoder, folder / "entries", ranking="entries"),
        )

    @classmethod
    def in_memory(cls, encoder: Encoder) -> "Index":
        """An empty index that is never written."""
        return cls(Retriever(encoder, ranking="clauses"), Retriever(encoder, ranking="entries"))

    def __len__(self) -> int:
        return len(self.clauses) + len(self.entries)

    @property
    def owner(self) -> bool:
        """Whether this process writes the index on disk; another one does while a service runs."""
        return self.clauses.owner and self.entries.owner

    def merge(self) -> bool:
        """Merge some segments; whether there was anything to merge."""
        return any([retriever.merge() for retriever in (self.clauses, self.entries)])

    def close(self) -> None:
        """Let another process write the index on disk."""
        for retriever in (self.clauses, self.entries):
            retriever.close()
