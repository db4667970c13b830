"""The administration under /admin: one module for each thing that staff look after.

The list of its pages is here; each is for those whom `service.rights` gives its action.
"""

from typing import NamedTuple, TypeVar

from flask import Blueprint

from service.accounts import Account
from service.rights import opens, roles_for
from service.web.sign_in import guarded

# Who works here; the others have a desk of their own.
STAFF = ("admin", "editor", "reviewer", "auditor")
_Section = TypeVar("_Section", bound=Blueprint)


class Place(NamedTuple):
    """A page that the navigation leads to.

    Attributes:
        address: where it begins; pages below it belong to it.
        action: of `service.rights`; who may not do it to anything does not see the place.
        about: one sentence for the first page.
    """

    address: str
    label: str
    action: str
    about: str


# In the order of a working day: what people write, what they look at, what they look after.
NAVIGATION = (
    Place("/admin/entries", "问答", "entry.read", "写、改、送审；看历史、依据和谁审核的。"),
    Place("/admin/reviews", "审核", "entry.review", "别人写好的，对照依据通过或退回。"),
    Place("/admin/corrections", "答案纠错", "entry.read", "坐席说有误或过时的答案。"),
    Place("/admin/gaps", "问题缺口", "gap.read", "群众问了、还没答好的问题；分派、起草、加问法。"),
    Place("/admin/phrasings", "问法建议", "gap.read", "从群众的选择和评价里看出的相似问和反例问。"),
    Place("/admin/tickets", "部门工单", "entry.write", "坐席转来的问题，在期限前答复。"),
    Place("/admin/import", "导入", "import", "用表格成批新增和修改问答；先检查，再导入。"),
    Place("/admin/export", "导出", "entry.read", "把问答导出成表格；改好后还能导回来。"),
    Place("/admin/documents", "文件", "document.read", "上传、核对、审核、发布；废止、撤回。"),
    Place("/admin/figures", "统计", "figures.read", "问了什么、答得怎样、哪些该复核；可导出表格。"),
    Place("/admin/report", "月报", "figures.read", "一个月的情况和上月比；可打印。"),
    Place("/admin/daily", "日监测", "figures.read", "每天自动检查链接、到期、复核、时限、备份。"),
    Place("/admin/lab", "实验室", "lab.use", "像群众一样提问，看清为什么这样回答；改设置前先试。"),
    Place("/admin/synonyms", "同义词", "synonyms.write", "群众的说法对应政策里的哪个词。"),
    Place("/admin/settings", "设置", "settings.change", "门槛、通知、服务时间、用语；紧急停止。"),
    Place("/admin/people", "账号", "people.manage", "谁能登录、能做什么；新建、停用、重设密码。"),
    Place("/admin/audit", "审计", "audit.read", "谁在什么时候做了什么；核对记录有没有被改动。"),
)


def section(blueprint: _Section, action: str) -> _Section:
    """Let only those use a blueprint who may do this to something; returns it.

    Its views still ask `service.rights.demand` about the object itself.

    Raises:
        KeyError: no such action.
    """
    return guarded(blueprint, *roles_for(action))


def places(account: Account) -> tuple[Place, ...]:
    """Where an account may go, in order."""
    return tuple(each for each in NAVIGATION if opens(account, each.action))
