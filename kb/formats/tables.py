"""Table rows as readable blocks; hides how a header row is told from a row of data."""

from __future__ import annotations

import re
from collections.abc import Sequence

from kb.blocks import Block

Row = Sequence[str]

_SEPARATOR = "　|　"
_MAX_HEADER_CELL = 20
# In a table of two columns the first row is as often a pair of name and value.
_HEADER_WORDS = re.compile(
    r"序号|编号|项目|名称|事项|类别|类型|内容|条件|对象|单位|部门|标准|材料|地址|电话|时间|备注|区域|街道"
)


def table_blocks(rows: Sequence[Row], *, header: bool = False) -> list[Block]:
    """Return one block of kind ``"table"`` per row that holds text.

    Args:
        rows: cell texts by grid column; a cell that a merge covers is an empty string.
        header: the format itself marks the first full row as a header.

    Rows under a header read ``表头：值；表头：值``, other rows are joined by ``　|　``.
    """
    filled = [[cell.strip() for cell in row] for row in rows]
    filled = [row for row in filled if any(row)]
    blocks: list[Block] = []
    while len(filled) > 1 and sum(map(bool, filled[0])) == 1 and len(filled[0]) > 1:
        blocks.append(Block(next(cell for cell in filled.pop(0) if cell), "table"))
    if len(filled) > 1 and (_is_header(filled) or (header and all(filled[0]))):
        heads = filled.pop(0)
        blocks.append(_joined(heads))
        blocks.extend(_under(heads, row) for row in filled)
    else:
        blocks.extend(_joined(row) for row in filled)
    return blocks


def _joined(row: Row) -> Block:
    return Block(_SEPARATOR.join(cell for cell in row if cell), "table")


def _under(heads: Row, row: Row) -> Block:
    pairs = []
    for column, cell in enumerate(row):
        if cell:
            head = heads[column] if column < len(heads) else ""
            pairs.append(f"{head}：{cell}" if head else cell)
    return Block("；".join(pairs), "table")


def _is_header(rows: Sequence[Row]) -> bool:
    first = rows[0]
    if len(first) < 2 or not all(first) or len(set(first)) < len(first):
        return False
    if any(len(cell) > _MAX_HEADER_CELL or re.search(r"[\d。；：:]", cell) for cell in first):
        return False
    hints = sum(bool(_HEADER_WORDS.search(cell)) for cell in first)
    return hints >= 1 if len(first) > 2 else hints == 2
