"""The pages: chat, comparison, tokenizers and runs. They are files, and talk to the API alone."""

from importlib.resources import files
from typing import Any

from fastapi import FastAPI, Request, Response

from groundup.core.errors import InputError
from groundup.serve.errors import ApiError
from groundup.serve.house import House
from groundup.serve.runs import list_curves, read_curve

_PAGES = {"/": "chat", "/compare": "compare", "/tokenizer": "tokenizer", "/runs": "runs"}
_TYPES = {
    "css": "text/css",
    "html": "text/html",
    "js": "text/javascript",
    "svg": "image/svg+xml",
}


def install_pages(app: FastAPI, house: House) -> None:
    """Let the app show the pages, and tell what they show."""
    static = files("groundup.serve") / "static"
    # Read once: what a request names is looked up among these, and no path is made of it.
    contents = {file.name: file.read_bytes() for file in static.iterdir() if file.is_file()}

    def page(request: Request) -> Response:
        return _file(f"{_PAGES[request.url.path]}.html", contents)

    for path in _PAGES:
        app.api_route(path, methods=["GET", "HEAD"], include_in_schema=False)(page)

    @app.get("/static/{name}", include_in_schema=False)
    async def file(name: str) -> Response:
        return _file(name, contents)

    @app.get("/favicon.ico", include_in_schema=False)
    async def icon() -> Response:
        return _file("icon.svg", contents)

    @app.get("/tokenizers")
    async def tokenizers() -> dict[str, Any]:
        told = [
            {
                "id": name,
                "vocab_size": tokenizer.vocab_size,
                "special_tokens": dict(tokenizer.special_tokens),
            }
            for name, tokenizer in house.tokenizers.items()
        ]
        return {"data": told}

    @app.get("/curves")
    def curves() -> dict[str, Any]:
        return {"data": [] if house.offer.runs is None else list_curves(house.offer.runs)}

    @app.get("/curves/{name:path}")
    def curve(name: str, after: int = 0, file: str = "") -> dict[str, Any]:
        if house.offer.runs is None:
            raise ApiError(404, "no folder of runs is shown: start the server with --runs.")
        try:
            return read_curve(house.offer.runs, name, max(0, after), file)
        except (InputError, OSError) as error:
            raise ApiError(404, f"there is no run {name!r} here.") from error


def _file(name: str, contents: dict[str, bytes]) -> Response:
    if name not in contents:
        raise ApiError(404, f"there is no file {name!r}.")
    media = _TYPES[name.rpartition(".")[2]]
    headers = {"Cache-Control": "no-cache"}
    return Response(contents[name], media_type=f"{media}; charset=utf-8", headers=headers)
