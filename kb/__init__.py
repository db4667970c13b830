"""The knowledge base: policies and reviewed answers, read, versioned, published and found."""
