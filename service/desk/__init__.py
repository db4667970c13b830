"""The hotline desk: calls, tickets, conversations handed to people, reports of the shift."""
