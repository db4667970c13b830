"""What messages of WeChat and WeCom say; hides the vocabulary that the two share."""

from collections.abc import Mapping

from service.channels import Kind, Message, Rejected, payloads

# What people send that only a person could read.
UNREADABLE = {"image", "voice", "video", "shortvideo", "location", "link", "file"}
ARRIVALS = {"subscribe", "scan", "enter_agent", "user_enter_tempsession"}
DEPARTURES = {"unsubscribe"}


def message_of(fields: Mapping[str, str], *, reply_to: str, echo: Mapping[str, str]) -> Message:
    """The message in the fields of a delivery.

    Args:
        reply_to: for later words to the sender.
        echo: what the envelope needs; the two names in the message are added.

    Raises:
        Rejected: 400, without a sender, a type, or anything to tell it from others.
    """
    user, sort = fields.get("FromUserName", ""), fields.get("MsgType", "").lower()
    if not user or not sort:
        raise Rejected(400, "no sender or no type")
    kind, text = _said(sort, fields)
    return Message(
        kind=kind,
        key=_key(fields, user),
        user=user,
        text=text,
        reply_to="" if kind is Kind.LEFT else reply_to,
        echo={**echo, "user": user, "us": fields.get("ToUserName", "")},
    )


def _said(sort: str, fields: Mapping[str, str]) -> tuple[Kind, str]:
    if sort == "event":
        return _happened(fields.get("Event", "").lower(), fields.get("EventKey", "").strip())
    # Speech comes with the words that the platform recognised, where that is switched on.
    text = fields.get({"text": "Content", "voice": "Recognition"}.get(sort, ""), "").strip()
    if text:
        return Kind.TEXT, text
    return (Kind.OTHER if sort == "text" or sort in UNREADABLE else Kind.SILENT), ""


def _happened(event: str, key: str) -> tuple[Kind, str]:
    if event == "click" and key:
        return Kind.TEXT, key  # whoever sets up the menu writes the question as the key
    if event in ARRIVALS:
        return Kind.ARRIVED, ""
    return (Kind.LEFT if event in DEPARTURES else Kind.SILENT), ""


def _key(fields: Mapping[str, str], user: str) -> str:
    if number := fields.get("MsgId"):
        return payloads.key_of(number)
    if not fields.get("CreateTime"):
        raise Rejected(400, "neither number nor time")
    moment = (fields.get(name, "") for name in ("CreateTime", "Event", "EventKey"))
    return payloads.key_of(user, *moment)
