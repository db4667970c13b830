"""The long-lived objects of one process, built once by `app.py` and handed to whoever serves."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime

from kb.amendments import Amendments
from kb.checks import Checks
from kb.clock import day_of
from kb.db import Database
from kb.documents import Documents
from kb.entries import Entries
from kb.filing import Filing
from kb.history import History
from kb.indexing import Indexer
from kb.journal import AuditLog
from kb.library import Library
from kb.lookup import Lookup
from kb.regions import Regions
from kb.search import Search
from kb.thesaurus import Thesaurus
from kb.understanding import Understanding
from kb.versions import Versions
from service.accounts import Accounts
from service.addresses import Proxies
from service.answering import Answerer
from service.channels import Channel
from service.composing.composers import Composer
from service.config import Settings
from service.conversations import Conversations
from service.desk.calls import Calls
from service.desk.finding import Finder
from service.desk.handoff import Handoffs
from service.desk.reports import Reports
from service.desk.tickets import Tickets
from service.golden import GoldenSet
from service.importing import Importer
from service.imports import Imports
from service.inbox import Inbox
from service.insights.insights import Insights
from service.keys import Keys
from service.lab import Lab
from service.limits import Limits
from service.people import People
from service.popularity import Popularity
from service.sealing import Sealer
from service.sites import Sites
from service.tuning import Tuning


@dataclass(frozen=True)
class Runtime:
    """Everything a request, a command or a worker may use."""

    settings: Settings
    db: Database
    regions: Regions
    documents: Documents
    filing: Filing
    entries: Entries
    checks: Checks
    versions: Versions
    history: History
    amendments: Amendments
    audit_log: AuditLog
    library: Library
    lookup: Lookup
    indexer: Indexer
    search: Search
    understanding: Understanding
    thesaurus: Thesaurus
    tuning: Tuning
    conversations: Conversations
    composer: Composer
    answerer: Answerer
    lab: Lab
    golden: GoldenSet
    channels: Mapping[str, Channel]
    inbox: Inbox
    handoffs: Handoffs
    finder: Finder
    popularity: Popularity
    calls: Calls
    tickets: Tickets
    reports: Reports
    sealer: Sealer
    limits: Limits
    accounts: Accounts
    people: People
    insights: Insights
    imports: Imports
    importer: Importer
    sites: Sites
    keys: Keys
    proxies: Proxies
    now: Callable[[], datetime]

    def close(self) -> None:
        """Give everything back that another process may be waiting for."""
        self.composer.close()
        self.inbox.close()
        self.indexer.close()
        self.db.dispose()

    def today(self) -> date:
        """The current day in China, which decides what is in force."""
        return day_of(self.now())
