"""What the audit log is called in Chinese: actions, actors, subjects and details."""

import json
from collections.abc import Mapping
from typing import Any

from service.tunables import TUNABLES

ACTORS = {
    "anonymous": "未登录",
    "command-line": "服务器命令行",
    "system": "系统",
    "samples": "示例数据",
    "evaluation": "评测",
}
# In groups, as a list to choose from shows them.
ACTIONS = {
    "sign_in": "登录",
    "sign_in.password": "密码正确，待输手机验证码",
    "sign_in.failed": "登录失败",
    "sign_out": "退出",
    "session.end": "退出自己的其他登录",
    "session.surplus": "登录处太多，最早的退出",
    "password_change": "修改自己的密码",
    "factor.begin": "开始设置手机验证码",
    "factor.add": "启用手机验证码",
    "factor.remove": "停用手机验证码",
    "factor.recovery": "更换恢复码",
    "account.add": "新建账号",
    "account.change": "修改账号",
    "account.disable": "停用账号",
    "account.enable": "恢复账号",
    "account.lock": "账号锁定",
    "account.unlock": "解除锁定",
    "account.password_reset": "重设密码",
    "account.factor_reset": "取消手机验证码",
    "account.sign_out": "强制退出",
    "added": "导入新内容",
    "updated": "导入更新",
    "imported": "导入文件",
    "published": "发布",
    "withdrawn": "撤回",
    "draft": "转为草稿",
    "submitted": "提交审核",
    "publish": "发布文件",
    "withdraw": "撤回文件",
    "repeal": "登记废止",
    "version.draft": "起草",
    "version.save": "保存草稿",
    "version.discard": "放弃草稿",
    "version.submit": "提交审核",
    "version.return": "退回",
    "version.approve": "审核通过",
    "version.publish": "发布问答",
    "entry.withdraw": "撤回问答",
    "entry.confirm": "确认继续有效",
    "entry.flag": "依据有变，标记待核",
    "entry.lift": "解除标记",
    "setting.change": "修改设置",
    "synonym.save": "修改同义词",
    "synonym.drop": "删除或恢复同义词",
    "golden.add": "加标准问题",
    "golden.import": "导入标准问题",
    "golden.remove": "删除标准问题",
    "import.upload": "上传条目表",
    "import.begin": "开始导入",
    "import.done": "导入完成",
    "import.discard": "放弃导入",
    "entries.export": "导出问答",
    "document.correct": "修改文件信息",
    "document.return": "退回文件",
    "gap.assign": "分派问题缺口",
    "gap.draft": "从缺口起草",
    "gap.dismiss": "缺口不处理",
    "gap.reopen": "重开缺口",
    "gap.close": "缺口自动关闭",
    "proposal.accepted": "采纳问法建议",
    "proposal.dismissed": "不采纳问法建议",
    "audit.read": "查看审计记录",
    "audit.export": "导出审计记录",
    "audit.verify": "核对审计记录",
}
_FIELDS = {
    "address": "地址",
    "sessions": "退出登录数",
    "name": "用户名",
    "display_name": "姓名",
    "role": "角色",
    "department": "单位",
    "region_code": "地区",
    "factor": "第二步",
    "reason": "原因",
    "comment": "说明",
    "status": "状态",
    "filename": "文件名",
    "revision": "版本",
    "sha256": "校验值",
    "mode": "方式",
    "added": "新增",
    "updated": "更新",
    "failed": "没有导入",
    "wanted": "查找条件",
    "rows": "条数",
    "value": "值",
    "said": "说法",
    "question": "问题",
    "questions": "题数",
    "expect": "应答",
    "broken": "第一处不符",
    "format": "格式",
    "actor": "操作人",
    "action": "操作",
    "subject": "对象",
    "since": "开始日期",
    "until": "结束日期",
}
# Kind of subject → what it is called, and the page that shows it.
_SUBJECTS = {
    "account": ("账号", "/admin/people/"),
    "entry": ("问答", "/admin/entries/"),
    "document": ("文件", "/admin/documents/"),
    "revision": ("文件版本", ""),
    "version": ("问答版本", ""),
    "ticket": ("工单", "/operator/tickets/"),
    "gap": ("缺口", "/admin/gaps/"),
    "import": ("导入", "/admin/import/"),
    "proposal": ("问法建议", ""),
    "setting": ("设置", ""),
    "synonym": ("同义词", ""),
    "golden": ("标准问题", ""),
}


def subject_in_words(subject: str, names: Mapping[str, str]) -> tuple[str, str]:
    """What a row is about, and the address that shows it; empty where nothing does.

    Args:
        names: subject → name of each account.
    """
    kind, _, number = subject.partition(":")
    if subject == "audit":
        return "审计记录", ""
    if subject == "account:unknown":
        return "没有这个账号", ""
    if kind not in _SUBJECTS or not number:
        return subject, ""
    title, page = _SUBJECTS[kind]
    if kind == "setting" and number in TUNABLES:
        return f"{title} {TUNABLES[number].label}", ""
    shown = names.get(subject, number)
    return f"{title} {shown}", f"{page}{number}" if page and number.isdecimal() else ""


def detail_in_words(detail: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Field and value of each thing that a row tells."""
    return tuple((_FIELDS.get(name, name), _value(value)) for name, value in detail.items())


def _value(value: Any) -> str:
    if isinstance(value, dict) and value.keys() == {"before", "after"}:
        return f"{_value(value['before'])} → {_value(value['after'])}"
    if value in (None, "", [], {}):
        return "（空）"
    if isinstance(value, dict):
        return "，".join(f"{name} {said}" for name, said in detail_in_words(value))
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)
