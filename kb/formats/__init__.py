"""One module per family of file formats, used by `kb.readers`; hides every parsing library."""
