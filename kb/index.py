"""The searchable form of the knowledge base: clauses and entries, each in an index of its own.

Apart, neither crowds out the other, and how rare a word is gets counted among texts of its own
kind: a reviewed answer is found alike beside ten documents and beside a hundred thousand.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

from embeddings import Encoder, Item, Retriever
from kb.journal import is_entry_group


class Index:
    """Two retrievers that follow one change log.

    Args:
        clauses: holds the groups of revisions.
        entries: holds the groups of entries.
    """

    def __init__(self, clauses: Retriever, entries: Retriever) -> None:
        self.clauses = clauses
        self.entries = entries
        self.position = min(clauses.position, entries.position)

    @classmethod
    def open(cls, encoder: Encoder, folder: Path) -> "Index":
        """Open the index kept in a folder; what is damaged starts anew from empty."""
        return cls(
            Retriever.open(encoder, folder / "clauses"), Retriever.open(encoder, folder / "entries")
        )

    @classmethod
    def in_memory(cls, encoder: Encoder) -> "Index":
        """An empty index that is never written."""
        return cls(Retriever(encoder), Retriever(encoder))

    def __len__(self) -> int:
        return len(self.clauses) + len(self.entries)

    @property
    def owner(self) -> bool:
        """Whether this process writes the index on disk; another one does while a service runs."""
        return self.clauses.owner and self.entries.owner

    def apply(self, items: Sequence[Item], *, replaced: Iterable[str], position: int) -> None:
        """Replace groups; see `Retriever.apply`.

        A retriever without any of the groups is left alone: it will see on its next start that
        the changes since its position do not concern it.
        """
        groups = set(replaced)
        for_entries = {group for group in groups if is_entry_group(group)}
        for retriever, own in (
            (self.clauses, groups - for_entries),
            (self.entries, for_entries),
        ):
            if own:
                mine = [item for item in items if item.group in own]
                retriever.apply(mine, replaced=own, position=position)
        self.position = position

    def settle(self, position: int) -> None:
        """Say that everything up to a position in the change log is in, whatever it concerned."""
        for retriever in (self.clauses, self.entries):
            if retriever.position != position:
                retriever.apply([], replaced=(), position=position)
        self.position = position

    def clear(self) -> None:
        """Forget everything, also on disk."""
        for retriever in (self.clauses, self.entries):
            retriever.clear()
        self.position = 0

    def merge(self) -> bool:
        """Merge some segments; whether there was anything to merge."""
        return any([retriever.merge() for retriever in (self.clauses, self.entries)])

    def close(self) -> None:
        """Let another process write the index on disk."""
        for retriever in (self.clauses, self.entries):
            retriever.close()
