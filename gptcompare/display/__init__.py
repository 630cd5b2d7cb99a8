"""Parts of what people see, whatever its subject: text widths, colours, numbers with units, progress bars, a page."""
