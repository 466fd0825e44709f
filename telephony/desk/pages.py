"""The desk's pages: the files of the built front end, and nothing else of the disk."""

from __future__ import annotations

from pathlib import Path

from aiohttp import web

from telephony.desk.problems import Problem
from telephony.desk.routes import PUBLIC, Call, Route

STATIC = Path(__file__).parent / "static"
IMMUTABLE = "public, max-age=31536000, immutable"

_NOT_BUILT = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Callfloor</title>
<h1>Callfloor runs, but its pages are not built</h1>
<p>In the checkout: <code>npm --prefix telephony/desk/web ci</code>, then
<code>npm --prefix telephony/desk/web run build</code>, then start Callfloor again.
<p lang="de">Callfloor läuft, aber seine Seiten sind nicht gebaut. Im Checkout dieselben zwei Befehle ausführen und
Callfloor neu starten.
</html>
"""


class Pages:
    """The files as they were when the server was made.

    They are looked up in a table of what was found, so that no path in a request ever becomes a path on the disk.
    """

    def __init__(self, folder: Path = STATIC) -> None:
        self._files = {
            path.relative_to(folder).as_posix(): path
            for path in (sorted(folder.rglob("*")) if folder.is_dir() else ())
            if path.is_file() and not path.is_symlink()
        }

    @property
    def built(self) -> bool:
        return "index.html" in self._files

    def routes(self) -> tuple[Route, ...]:
        return (
            Route("GET", "/", self.index, PUBLIC, "The desk", content_type="text/html"),
            Route("GET", "/{file:.+}", self.file, PUBLIC, "A file of the desk", content_type="*/*"),
        )

    async def index(self, call: Call) -> web.StreamResponse:
        if not self.built:
            return web.Response(text=_NOT_BUILT, content_type="text/html", headers={"Cache-Control": "no-cache"})
        return web.FileResponse(self._files["index.html"], headers={"Cache-Control": "no-cache"})

    async def file(self, call: Call) -> web.StreamResponse:
        name = call.request.match_info["file"]
        path = self._files.get(name)
        if path is None or name.startswith("api/"):
            raise Problem("no-such-page")
        # The build names what is under assets/ by its content, so it never changes.
        cache = IMMUTABLE if name.startswith("assets/") else "no-cache"
        return web.FileResponse(path, headers={"Cache-Control": cache})
