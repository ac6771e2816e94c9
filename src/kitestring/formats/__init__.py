"""File formats, a module each, readers and writers side by side."""
