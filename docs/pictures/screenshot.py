"""Make the picture of the page to explore, page.png: `python docs/pictures/screenshot.py`, where there is a Chromium.

It is a photograph, whose pixels depend on the machine's fonts, so that no test compares it.
"""

import sys
import tempfile
from pathlib import Path

import gptcompare as gc

FOLDER = Path(__file__).parent
sys.path.append(str(FOLDER.parents[1] / "tests"))
WIDTH, HEIGHT = 1000, 790

if __name__ == "__main__":
    from support.browser import Browser

    comparison = gc.compare("Once upon a time", temperature=0.8, top_p=0.9, seed=3)
    with tempfile.TemporaryDirectory() as folder, Browser(WIDTH, HEIGHT) as browser:
        page = Path(folder, "page.html")
        page.write_text(comparison.to_html(), encoding="utf-8")
        browser.open(page.as_uri())
        browser.click("[aria-label='layer 3, head 0']")
        browser.run("scrollTo(0, 0)")
        browser.picture(FOLDER / "page.png", whole=False)
    print(f"wrote {FOLDER / 'page.png'}")
