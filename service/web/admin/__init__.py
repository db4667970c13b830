"""The administration under /admin: one module for each thing that staff look after."""
