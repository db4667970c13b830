"""Websites that may embed the widget; hides how origins are written and compared.

A key is public: it stands in every page that embeds the widget. What keeps others out is the
list of origins, which a browser states truthfully and a page cannot forge.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlsplit

from sqlalchemy import select

from kb.db import Database
from kb.errors import Conflict, NotFound
from kb.regions import Regions
from service import models
from service.errors import InvalidRequest

MAX_NAME = 128
MAX_ORIGINS = 50

_KEY = re.compile(r"[a-z0-9][a-z0-9-]{1,63}")
_HOST = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)(\.(?!-)[a-z0-9-]{1,63}(?<!-))*|\[[0-9a-f:.]+\]")
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Site:
    """A website that embeds the widget.

    Attributes:
        origins: as browsers send them: scheme://host[:port] in lower case, no default port.
        region: code of the region that its visitors ask from; None for the installation's.
    """

    key: str
    name: str
    origins: tuple[str, ...]
    region: str | None = None


class Sites:
    """The list of websites, kept in the database."""

    def __init__(self, db: Database, regions: Regions) -> None:
        self._db = db
        self._regions = regions

    def add(
        self,
        key: str,
        *,
        name: str,
        origins: Sequence[str],
        region: str = "",
        replace: bool = False,
    ) -> Site:
        """Put a website on the list.

        Args:
            origins: may carry a trailing slash, a default port, capitals or Chinese letters.
            region: code or name; empty for the installation's.
            replace: change the website that has this key already.

        Raises:
            InvalidRequest: a field does not hold.
            NotFound: no such region.
            Conflict: the key is taken, and `replace` is false.
        """
        site = Site(
            key=key.strip(),
            name=name.strip(),
            origins=tuple(dict.fromkeys(origin_of(each) for each in origins)),
            region=self._regions.resolve(region),
        )
        problems = _problems(site)
        if problems:
            raise InvalidRequest(problems)
        with self._db.transaction() as session:
            row = session.get(models.Site, site.key)
            if row and not replace:
                raise Conflict(f"已有编号为“{site.key}”的网站；要修改请加 --replace")
            row = row or models.Site(key=site.key, created_at=datetime.now(UTC))
            row.name, row.origins = site.name, " ".join(site.origins)
            row.region_code = site.region
            session.add(row)
        return site

    def list(self) -> tuple[Site, ...]:
        """All websites by key."""
        with self._db.reading() as session:
            rows = session.scalars(select(models.Site).order_by(models.Site.key))
            return tuple(_site(row) for row in rows)

    def find(self, key: str) -> Site | None:
        """The website with this key."""
        if not _KEY.fullmatch(key):
            return None
        with self._db.reading() as session:
            row = session.get(models.Site, key)
            return _site(row) if row else None

    def knows(self, origin: str) -> bool:
        """Whether any website has this origin, written exactly as a browser does."""
        return any(origin in site.origins for site in self.list())

    def remove(self, key: str) -> None:
        """Take a website off the list; its widget stops answering at once.

        Raises:
            NotFound: no such website.
        """
        with self._db.transaction() as session:
            row = session.get(models.Site, key)
            if row is None:
                raise NotFound(f"没有编号为“{key}”的网站")
            session.delete(row)


def origin_of(text: str) -> str:
    """An origin as browsers write it.

    Raises:
        InvalidRequest: it is not an origin, or names a whole family of them.
    """
    try:
        parts = urlsplit(text.strip())
        host, port = _ascii(parts.hostname or ""), parts.port
    except (ValueError, UnicodeError):
        raise _unfit(text) from None
    if (
        parts.scheme not in _DEFAULT_PORTS
        or parts.path not in ("", "/")
        or "@" in parts.netloc
        or parts.query
        or parts.fragment
        or not _HOST.fullmatch(host)
    ):
        raise _unfit(text)
    tail = "" if port in (None, _DEFAULT_PORTS[parts.scheme]) else f":{port}"
    return f"{parts.scheme}://{host}{tail}"


def _ascii(host: str) -> str:
    """A host as it travels: Chinese domain names in their ASCII form, IPv6 in brackets."""
    return f"[{host}]" if ":" in host else host.encode("idna").decode("ascii").lower()


def _unfit(text: str) -> InvalidRequest:
    return InvalidRequest(
        {"origins": f"“{text}”不是网站来源，应如 https://www.example.gov.cn，不带路径和通配符"}
    )


def _problems(site: Site) -> dict[str, str]:
    found = {}
    if not _KEY.fullmatch(site.key):
        found["key"] = "编号用 2 到 64 个小写字母、数字或连字符，以字母或数字开头"
    if not 0 < len(site.name) <= MAX_NAME or not site.name.isprintable():
        found["name"] = f"名称应为 1 到 {MAX_NAME} 个字"
    if not 0 < len(site.origins) <= MAX_ORIGINS:
        found["origins"] = f"请给出 1 到 {MAX_ORIGINS} 个网站来源"
    return found


def _site(row: models.Site) -> Site:
    return Site(row.key, row.name, tuple(row.origins.split()), row.region_code)
