"""Departments by name; created on first mention."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from kb.models import Department


def department_named(session: Session, name: str) -> Department:
    """Return the department of that name, adding it when it is new."""
    name = name.strip()[:128]
    department = session.scalar(select(Department).where(Department.name == name))
    if department is None:
        department = Department(name=name)
        session.add(department)
        session.flush()
    return department
