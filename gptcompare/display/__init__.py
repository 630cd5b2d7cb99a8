"""What people see, whatever it is about: widths on a terminal, numbers with units, progress, an HTML document."""
