"""A page to play in: a local web server, and two models that write side by side while one watches.

Read `server` first, then `writing`: what a request becomes. `guard` says which requests are answered, and `shelf` holds
the models of this machine. The page is that of `gptcompare.comparison.page`, with `play.js` for its controls.
"""

from .server import PORT, Server, serve

__all__ = ["PORT", "Server", "serve"]
