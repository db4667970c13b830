"""The first page of the administration, and what all its pages have in common."""

from flask import Blueprint, render_template

from service.accounts import ROLES
from service.web.admin import STAFF, places
from service.web.admin.worklist import to_do
from service.web.sign_in import current_user, guarded


def build() -> Blueprint:
    """The blueprint; for everyone but operators, whose desk is elsewhere."""
    home = guarded(Blueprint("admin", __name__, url_prefix="/admin"), *STAFF)

    @home.app_context_processor
    def _common() -> dict[str, object]:
        return {"admin_places": lambda: places(current_user()), "role_names": ROLES}

    @home.get("")
    def first() -> str:
        return render_template("admin/home.html", work=to_do(current_user()))

    return home
