"""Parts of what people see, whatever its subject: text widths, numbers with units, progress bars, an HTML page."""
