"""What an HTML document consists of."""

from html.parser import HTMLParser

VOID = {"meta", "br", "link", "img"}  # elements without an end, of those that are written here


class Outline(HTMLParser):
    """Tags with their attributes, and texts; a tag that is not closed in its place is an error."""

    def __init__(self, html):
        super().__init__()
        self.open, self.tags, self.texts = [], [], []
        self.feed(html)
        self.close()
        assert self.open == []

    @property
    def text(self):
        return "".join(self.texts)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)
