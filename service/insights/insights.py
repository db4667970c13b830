"""The objects of this package that others use, built once by `app.py`."""

from dataclasses import dataclass

from service.insights.closing import Closing
from service.insights.daily import Daily
from service.insights.figures import Figures
from service.insights.freshness import Shelf
from service.insights.gaps import Gaps
from service.insights.gathering import Gatherer
from service.insights.phrasings import Phrasings
from service.insights.tallies import Tallies


@dataclass(frozen=True)
class Insights:
    """What questions say about the knowledge base."""

    gatherer: Gatherer
    gaps: Gaps
    closing: Closing
    phrasings: Phrasings
    tallies: Tallies
    figures: Figures
    shelf: Shelf
    daily: Daily
