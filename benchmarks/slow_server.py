"""The product's server with everything that has to do with time made shorter, and slow answers.

    python benchmarks/slow_server.py --port N [--scale 2] [--slow 0.3]

For `benchmarks/deliveries.py`. The settings come from the environment. A platform's patience, the
lease of a claim and the pauses of the background thread are divided by the scale. A share of the
messages, always the same ones, takes between a tenth and twice a platform's patience to answer.
"""

import argparse
import os
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from flask import Flask

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from app import create_app  # noqa: E402
from service import inbound, inbox, logs, worker  # noqa: E402
from service.channels.configured import configured  # noqa: E402
from service.config import Settings  # noqa: E402
from service.conversations import Answer, Question  # noqa: E402
from service.web.server import Server  # noqa: E402

# What a platform waits, unscaled.
PATIENCE = 5.0


def hurry(scale: float) -> None:
    """Shorten the times of the product by the same factor as the platform's."""
    inbound.LEASE /= scale
    inbound.TRIED /= scale
    inbox.EVERYBODY_WAITS /= scale
    worker.PAUSE /= scale


def build(settings: Settings, scale: float, slow: float) -> Flask:
    """The application, with channels as hasty as the platforms and some answers slow."""
    channels: dict[str, Any] = dict(configured(settings))
    for channel in channels.values():
        patience = channel.capability.patience / scale
        channel.capability = replace(channel.capability, patience=patience)
    app = create_app(settings, channels=channels)
    answerer = app.extensions["policyqa.runtime"].answerer
    fast = answerer.answer

    def answer(question: Question) -> Answer:
        chance = int(question.answer_id[:4] or "0", 16) / 0xFFFF
        if chance < slow:
            # From the number alone: whoever answers this message again needs as long again.
            time.sleep((0.1 + 1.9 * chance / slow) * PATIENCE / scale)
        found: Answer = fast(question)
        return found

    answerer.answer = answer
    return app


def main() -> None:
    """Serve until stopped."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--scale", type=float, default=2.0)
    parser.add_argument("--slow", type=float, default=0.3)
    given = parser.parse_args()
    settings = Settings.from_env(os.environ)
    logs.configure(settings.log_level)
    hurry(given.scale)
    Server(
        lambda: build(settings, given.scale, given.slow),
        host="127.0.0.1",
        port=given.port,
        threads=settings.threads,
    ).run()


if __name__ == "__main__":
    main()
