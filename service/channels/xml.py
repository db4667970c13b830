"""The flat XML of WeChat and WeCom, read and written; hides escaping and every trick of XML.

Any document type is refused, so that no entity can be defined: neither one that reads files nor
one that grows without end.
"""

from collections.abc import Mapping, Sequence
from xml.parsers import expat

from service.channels import Rejected
from service.channels.payloads import clean

# Below the root. Pictures chosen in a menu lie four levels deep; nothing lies deeper.
MAX_DEPTH = 4

XML_TYPE = "application/xml; charset=utf-8"

Value = str | int | Sequence[Mapping[str, str | int]]


class _Reader:
    """Collects the text of every element below the root."""

    def __init__(self) -> None:
        self.fields: dict[str, str] = {}
        self._path: list[str] = []
        self._pieces: list[list[str]] = []

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        if not self._pieces and name != "xml":
            raise Rejected(400, "root element is not <xml>")
        if len(self._pieces) > MAX_DEPTH:
            raise Rejected(400, f"XML nested deeper than {MAX_DEPTH} levels")
        if len(self._pieces) == 1 and name in self.fields:
            raise Rejected(400, "an element occurs twice")
        self._path.append(name)
        self._pieces.append([])

    def end(self, name: str) -> None:
        text = "".join(self._pieces.pop())
        if self._pieces:
            self.fields.setdefault("/".join(self._path[1:]), text)
        self._path.pop()

    def text(self, piece: str) -> None:
        self._pieces[-1].append(piece)

    def refuse(self, *_: object) -> int:
        raise Rejected(400, "XML with a document type or entities")


def read(text: str) -> dict[str, str]:
    """Name → text of every child of the root; deeper ones as `Articles/item/Title`, the first each.

    Raises:
        Rejected: 400, not well-formed, with a document type, nested too deeply or ambiguous.
    """
    reader = _Reader()
    # The text is decoded already: whatever encoding the document declares does not count.
    parser = expat.ParserCreate("utf-8")
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    parser.StartDoctypeDeclHandler = reader.refuse
    parser.EntityDeclHandler = reader.refuse
    parser.ExternalEntityRefHandler = reader.refuse
    try:
        parser.Parse(text.encode("utf-8"), True)
    except (expat.ExpatError, UnicodeEncodeError):
        raise Rejected(400, "not well-formed XML") from None
    return {name: clean(value) for name, value in reader.fields.items()}


def write(fields: Mapping[str, Value]) -> bytes:
    """`<xml>` with one element a field: numbers bare, texts in CDATA, sequences as `<item>`s."""
    return f"<xml>{_elements(fields)}</xml>".encode()


def _elements(fields: Mapping[str, Value]) -> str:
    return "".join(f"<{name}>{_content(value)}</{name}>" for name, value in fields.items())


def _content(value: Value) -> str:
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        # The end mark of a section inside its text is divided between two sections.
        return f"<![CDATA[{clean(value).replace(']]>', ']]]]><![CDATA[>')}]]>"
    return "".join(f"<item>{_elements(item)}</item>" for item in value)
