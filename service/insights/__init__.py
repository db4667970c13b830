"""What questions say about the knowledge base: gaps, figures, the daily check, reports."""
