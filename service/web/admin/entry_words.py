"""What the pages of entries call states, flags and faults in Chinese."""

from datetime import date

from kb.checks import BLOCK, Finding
from kb.history import Raised, Version
from kb.models import State
from kb.steps import CALLED
from service.wording import display_date

# State → kind of sign that `admin.state` shows with it.
SIGNS = {
    State.PUBLISHED: "good",
    State.SUBMITTED: "due",
    State.RETURNED: "stopped",
    State.IN_REVIEW: "due",
    State.EXPIRED: "stopped",
    State.REPEALED: "stopped",
    State.WITHDRAWN: "stopped",
}
_ORIGINS = {"edit": "编写", "import": "导入"}
_SETTLED = {
    "confirmed": "已确认继续有效",
    "revised": "已修订",
    "withdrawn": "已撤回",
    "lifted": "已自动解除",
}


def state_name(state: State) -> str:
    """What people call a state."""
    return CALLED[state]


def state_sign(state: State) -> str:
    """The kind of sign beside it."""
    return SIGNS.get(state, "")


def origin_name(version: Version) -> str:
    """How a version came about."""
    return _ORIGINS.get(version.origin, version.origin)


def flag_said(flag: Raised) -> str:
    """What happened to the basis, in one sentence."""
    place = f"《{flag.document}》{flag.article}"
    on = display_date(flag.since)
    return {
        "repealed": f"依据的{place}自{on}起废止。",
        "expired": f"依据的{place}自{on}起失效。",
        "amended": f"依据的{place}自{on}起改了内容。",
        "removed": f"依据的{place}自{on}起没有了这一条。",
        "renumbered": f"依据的{place}内容没变，自{on}起改在{flag.found}。",
    }.get(flag.reason, f"依据的{place}有变化。")


def flag_effect(flag: Raised, today: date) -> str:
    """What that means for citizens."""
    if flag.resolved_at:
        who = f"（{flag.resolved_by}）" if flag.resolved_by not in ("", "system") else ""
        return _SETTLED.get(flag.how, "已处理") + who + (f"：{flag.note}" if flag.note else "")
    if flag.withhold_on is None:
        return "群众照常得到这条答复；请把依据改到新的条号。"
    if flag.withhold_on <= today:
        return "群众现在得不到这条答复，只会被告知依据已变。"
    return f"到{display_date(flag.withhold_on)}，群众就得不到这条答复了。"


def blocks(finding: Finding) -> bool:
    """Whether a fault keeps the entry from the public."""
    return finding.severity == BLOCK
