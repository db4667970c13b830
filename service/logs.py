"""Logging: one JSON object a line, personal numbers masked whatever the caller passed."""

import json
import logging
from datetime import UTC, datetime

from service.guards import mask

_STANDARD = set(vars(logging.makeLogRecord({}))) | {"message", "asctime"}


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        row = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **{key: value for key, value in vars(record).items() if key not in _STANDARD},
        }
        if record.exc_info:
            row["trace"] = self.formatException(record.exc_info)
        return mask(json.dumps(row, ensure_ascii=False, default=str))


def configure(level: str) -> None:
    """Log to standard error from `level` on."""
    handler = logging.StreamHandler()
    handler.setFormatter(_JsonLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    # It logs the address of every request, and some platforms want their token in the address.
    logging.getLogger("httpx").setLevel(logging.WARNING)
