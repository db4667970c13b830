"""One immutable block of the index: postings and vectors of some items; hides its files."""

import json
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from embeddings.encoder import Encoder, Vectors
from embeddings.errors import IndexUnavailable
from embeddings.lexical import Flags, Postings
from embeddings.tokenizer import normalise, pairs, words
from embeddings.vectors import FaissIndex, VectorIndex

# The two kinds of token, with the share of each in the lexical score (docs/adr/0004).
KINDS: tuple[tuple[Callable[[str], list[str]], float], ...] = ((words, 0.5), (pairs, 0.5))
# Arrays with one row an item that are kept as they are.
_ARRAYS = ("passage_of", "group_of", "wordings", "vectors")


@dataclass(frozen=True)
class Item:
    """One text to be found.

    Attributes:
        key: the caller's opaque name of the passage that it is a part of; the parts of one passage
            follow each other and belong to one group.
        text: what is searched.
        title: name of the whole it belongs to; searched with it, counted once for the whole.
        group: the whole it belongs to; groups are added and removed whole.
        wording: it is a question that the passage answers, not a part of what the passage says.
    """

    key: str
    text: str
    title: str = ""
    group: str = ""
    wording: bool = False


@dataclass(frozen=True, eq=False)
class Segment:
    """Items (positions 0 … n-1), the passages they are parts of (0 … k-1) and the groups these
    belong to (0 … g-1); equal only to itself.

    Attributes:
        keys: name of each passage.
        groups: name of each group.
        passage_of: passage of each item, ascending, shape (n,).
        group_of: group of each item, shape (n,).
        wordings: whether each item is a wording, shape (n,).
        passages: postings over items, one a kind of token (`KINDS`).
        documents: postings over groups, one a kind of token.
        vectors: unit rows in half precision, shape (n, d).
    """

    keys: tuple[str, ...]
    groups: tuple[str, ...]
    passage_of: npt.NDArray[np.int32]
    group_of: npt.NDArray[np.int32]
    wordings: Flags
    passages: tuple[Postings, ...]
    documents: tuple[Postings, ...]
    vectors: npt.NDArray[np.float16]
    nearest: VectorIndex

    @classmethod
    def build(cls, items: Sequence[Item], encoder: Encoder) -> "Segment":
        """Tokenise, invert and embed items.

        Raises:
            EncoderUnavailable: the model failed.
        """
        groups: dict[str, int] = {}
        group_of = np.array(
            [groups.setdefault(item.group, len(groups)) for item in items], dtype=np.int32
        )
        first = [at == 0 or items[at - 1].key != item.key for at, item in enumerate(items)]
        titles = {item.title: normalise(item.title) for item in items}
        texts = [normalise(item.text) for item in items]
        passages, documents = [], []
        for tokenise, _ in KINDS:
            of_title = {title: tokenise(folded) for title, folded in titles.items()}
            of_group: list[list[str]] = [[] for _ in groups]
            of_item = []
            for item, text, group in zip(items, texts, group_of, strict=True):
                own, title = tokenise(text), of_title[item.title]
                of_item.append(title + own)
                of_group[group].extend(own if of_group[group] else title + own)
            passages.append(Postings.build(of_item))
            documents.append(Postings.build(of_group))
        vectors = encoder.encode([f"{item.title} {item.text}".strip() for item in items])
        stored = vectors.astype(np.float16)
        return cls(
            tuple(item.key for item, new in zip(items, first, strict=True) if new),
            tuple(groups),
            (np.cumsum(first) - 1).astype(np.int32),
            group_of,
            np.array([item.wording for item in items], dtype=np.bool_),
            tuple(passages),
            tuple(documents),
            stored,
            FaissIndex(stored),
        )

    @classmethod
    def merge(cls, parts: Sequence["Segment"], dead: Sequence[frozenset[str]]) -> "Segment":
        """Concatenate segments without the groups that died in each."""
        keep_groups = [part.alive_groups(gone) for part, gone in zip(parts, dead, strict=True)]
        keep = [kept[part.group_of] for part, kept in zip(parts, keep_groups, strict=True)]
        keys: list[str] = []
        groups: list[str] = []
        group_of, passage_of = [], []
        for part, kept, kept_groups in zip(parts, keep, keep_groups, strict=True):
            moved = np.cumsum(kept_groups) - 1 + len(groups)
            group_of.append(moved[part.group_of[kept]])
            held, numbers = np.unique(part.passage_of[kept], return_inverse=True)
            passage_of.append(numbers + len(keys))
            keys.extend(part.keys[at] for at in held)
            groups.extend(part.groups[at] for at in np.flatnonzero(kept_groups))
        vectors = np.concatenate(
            [part.vectors[kept] for part, kept in zip(parts, keep, strict=True)]
        )
        kinds = range(len(KINDS))
        return cls(
            tuple(keys),
            tuple(groups),
            np.concatenate(passage_of).astype(np.int32),
            np.concatenate(group_of).astype(np.int32),
            np.concatenate([part.wordings[kept] for part, kept in zip(parts, keep, strict=True)]),
            tuple(Postings.merge([part.passages[kind] for part in parts], keep) for kind in kinds),
            tuple(
                Postings.merge([part.documents[kind] for part in parts], keep_groups)
                for kind in kinds
            ),
            vectors,
            FaissIndex(vectors),
        )

    def __len__(self) -> int:
        return len(self.group_of)

    @cached_property
    def starts(self) -> npt.NDArray[np.int64]:
        """Where the items of each passage begin, and after the last one the end, shape (k + 1,)."""
        return np.searchsorted(self.passage_of, np.arange(len(self.keys) + 1))

    def alive_groups(self, dead: frozenset[str]) -> Flags:
        """Flag of each group: not among the dead."""
        alive = np.ones(len(self.groups), dtype=np.bool_)
        alive[[self.numbers[group] for group in self.held(dead)]] = False
        return alive

    @cached_property
    def numbers(self) -> dict[str, int]:
        """Number of each group."""
        return {group: number for number, group in enumerate(self.groups)}

    def held(self, groups: Iterable[str]) -> frozenset[str]:
        """Those of the given groups that are in this segment, dead or alive."""
        return frozenset(group for group in groups if group in self.numbers)

    def cosines(self, query: Vectors, positions: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """Inner products of the query's unit vector with the given items."""
        return np.asarray(self.vectors[positions].astype(np.float32) @ query, dtype=np.float32)

    def save(self, folder: Path) -> None:
        """Write everything into a new folder and force it to disk."""
        folder.mkdir(parents=True)
        arrays: dict[str, Any] = {name: getattr(self, name) for name in _ARRAYS}
        for name, of_kinds in (("passages", self.passages), ("documents", self.documents)):
            for kind, postings in enumerate(of_kinds):
                for field in fields(postings):
                    arrays[f"{name}.{kind}.{field.name}"] = getattr(postings, field.name)
        for name, values in arrays.items():
            with (folder / f"{name}.npy").open("wb") as file:
                np.save(file, values)
                os.fsync(file.fileno())
        with (folder / "names.json").open("w", encoding="utf-8") as file:
            json.dump({"keys": self.keys, "groups": self.groups}, file, ensure_ascii=False)
            file.flush()
            os.fsync(file.fileno())
        sync_folder(folder)

    @classmethod
    def load(cls, folder: Path) -> "Segment":
        """Read what `save` wrote.

        Raises:
            IndexUnavailable: a part is missing or damaged.
        """
        try:
            names = json.loads((folder / "names.json").read_text(encoding="utf-8"))
            keys, groups = tuple(names["keys"]), tuple(names["groups"])
            arrays = {name: np.load(folder / f"{name}.npy") for name in _ARRAYS}
            passages, documents = (
                tuple(_load_postings(folder, f"{name}.{kind}") for kind in range(len(KINDS)))
                for name in ("passages", "documents")
            )
        except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
            raise IndexUnavailable(f"索引片段 {folder.name} 不完整：{error}") from error
        sizes = {*map(len, arrays.values()), *map(len, passages)}
        if (
            len(sizes) != 1
            or {len(groups)} != {len(part) for part in documents}
            or not all(part.consistent() for part in (*passages, *documents))
            or arrays["group_of"].max(initial=-1) >= len(groups)
            or not _counts_up(arrays["passage_of"], len(keys))
            or arrays["wordings"].dtype != np.bool_
        ):
            raise IndexUnavailable(f"索引片段 {folder.name} 的各部分互相不符")
        nearest = FaissIndex(arrays["vectors"])
        return cls(keys, groups, passages=passages, documents=documents, nearest=nearest, **arrays)


def _counts_up(numbers: npt.NDArray[np.int32], total: int) -> bool:
    """Whether numbers go from 0 to total - 1 without a gap or a step back."""
    steps = np.diff(numbers, prepend=-1, append=total)
    return bool(((steps == 0) | (steps == 1)).all() and steps[0] == steps[-1] == 1)


def sync_folder(folder: Path) -> None:
    """Force to disk which files a folder has; their content is forced file by file."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _load_postings(folder: Path, name: str) -> Postings:
    return Postings(
        **{field.name: np.load(folder / f"{name}.{field.name}.npy") for field in fields(Postings)}
    )
