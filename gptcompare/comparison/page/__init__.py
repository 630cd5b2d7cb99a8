"""A comparison as HTML: the `fragment` that notebooks show."""
