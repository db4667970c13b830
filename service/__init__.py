"""Answers, people and channels, on top of the knowledge base."""
