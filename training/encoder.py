"""Train the shipped model: a static embedding, one vector a token, in a few minutes on a CPU.

    python -m training.encoder --data ../shared/data                        the shipped model
    python -m training.encoder --data ../shared/data --half --out build/half

The second one learns from half of the questions only (`bases.shown`): ranking and confidence are
fitted with it, on the other half.

The table starts from the company that tokens keep (`company`), beside as many random numbers:
meaning, and room to tell apart what keeps the same company. It learns from pairs of texts that
belong together, each against all others of its batch (InfoNCE, van den Oord et al. 2018) and,
where there is one, against a text that only looks alike.
"""

import argparse
import logging
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Normalize, StaticEmbedding
from tokenizers import Tokenizer
from torch.nn import functional

from training import company, corpora, pairs, vocabulary
from training.bases import shown

OUT = Path(__file__).parent.parent / "embeddings" / "model"
# Numbers of a token's vector: from statistics, and random ones at first.
LEARNT, RANDOM = 256, 256
TOKENS = 160
STEPS = 600
BATCH = 1024
RATE = 0.003
WARM_UP = 50
TEMPERATURE = 0.05

log = logging.getLogger("training")

Ids = npt.NDArray[np.int64]


def main() -> None:
    """Train and save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--half", action="store_true")
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.manual_seed(0)
    tokenizer, table = start(given.data)
    learned = learn(
        tokenizer, table, pairs.build(given.data, shown if given.half else lambda _: True)
    )
    save(tokenizer, learned, given.out)


def start(data: Path) -> tuple[Tokenizer, torch.Tensor]:
    """Tokenizer and first table from the corpora."""
    texts = list(corpora.texts(data))
    tokenizer = vocabulary.build(texts, corpora.colloquial(data))
    ids = [np.array(each.ids, dtype=np.int64) for each in tokenizer.encode_batch(texts)]
    rows = torch.from_numpy(company.table(ids, tokenizer.get_vocab_size(), LEARNT))
    return tokenizer, torch.cat([rows, _random(rows.norm(dim=1, keepdim=True))], dim=1)


def learn(tokenizer: Tokenizer, table: torch.Tensor, tasks: Sequence[pairs.Task]) -> torch.Tensor:
    """The table after training, of the same shape."""
    bag = torch.nn.EmbeddingBag.from_pretrained(table.clone(), freeze=False, mode="mean")
    optimizer = torch.optim.Adam(bag.parameters(), lr=RATE)
    began, total = time.perf_counter(), 0.0
    for step, (left, right, wrong, labels) in enumerate(_batches(tokenizer, tasks), start=1):
        rate = RATE * min(1.0, step / WARM_UP) * max(0.02, 1 - step / STEPS)
        for group in optimizer.param_groups:
            group["lr"] = rate
        loss = _loss(bag, left, right, wrong, labels)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        total += loss.item()
        if step % 100 == 0:
            spent = time.perf_counter() - began
            log.info("step %d: loss %.3f, %.0f s", step, total / 100, spent)
            total = 0.0
    return bag.weight.detach()


def save(tokenizer: Tokenizer, table: torch.Tensor, folder: Path) -> None:
    """Write the model in half precision, which halves the file and changes no ranking."""
    tokenizer.no_padding()
    embedding = StaticEmbedding(tokenizer, embedding_weights=table.half().numpy())
    card = folder / "README.md"
    kept = card.read_text(encoding="utf-8") if card.exists() else ""
    SentenceTransformer(modules=[embedding, Normalize()]).save(str(folder))
    card.write_text(kept, encoding="utf-8")


def _random(lengths: torch.Tensor) -> torch.Tensor:
    """Vectors of these lengths, shape (tokens, 1), in random directions."""
    drawn = torch.randn((len(lengths), RANDOM), generator=torch.Generator().manual_seed(1))
    return functional.normalize(drawn, dim=1) * lengths


def _batches(
    tokenizer: Tokenizer, tasks: Sequence[pairs.Task]
) -> Iterator[tuple[list[Ids], list[Ids], list[Ids], torch.Tensor]]:
    """Batches of one task each, tasks drawn by weight."""
    random = np.random.default_rng(0)
    filled = [task for task in tasks if task.left]
    shares = np.array([task.weight for task in filled])
    texts = [
        [_ids(tokenizer, side) for side in (task.left, task.right, task.wrong)] for task in filled
    ]
    labels = [np.unique(np.array(task.label), return_inverse=True)[1] for task in filled]
    for _ in range(STEPS):
        at = random.choice(len(filled), p=shares / shares.sum())
        size = len(labels[at])
        chosen = random.choice(size, min(BATCH, size), replace=False)
        left, right, wrong = ([side[each] for each in chosen] if side else [] for side in texts[at])
        yield left, right, wrong, torch.from_numpy(labels[at][chosen])


def _loss(
    bag: torch.nn.EmbeddingBag,
    left: list[Ids],
    right: list[Ids],
    wrong: list[Ids],
    labels: torch.Tensor,
) -> torch.Tensor:
    ours, theirs = _vectors(bag, left), _vectors(bag, right)
    same = labels[:, None] == labels[None, :]
    same.fill_diagonal_(False)
    scores = (ours @ theirs.T / TEMPERATURE).masked_fill(same, -1e4)
    if wrong:
        scores = torch.cat([scores, ours @ _vectors(bag, wrong).T / TEMPERATURE], dim=1)
    return functional.cross_entropy(scores, torch.arange(len(left)))


def _vectors(bag: torch.nn.EmbeddingBag, texts: list[Ids]) -> torch.Tensor:
    offsets = np.cumsum([0, *(len(each) for each in texts[:-1])])
    pooled = bag(torch.from_numpy(np.concatenate(texts)), torch.from_numpy(offsets))
    return functional.normalize(pooled, dim=1)


def _ids(tokenizer: Tokenizer, texts: list[str]) -> list[Ids]:
    return [np.array(each.ids[:TOKENS], dtype=np.int64) for each in tokenizer.encode_batch(texts)]


if __name__ == "__main__":
    main()
