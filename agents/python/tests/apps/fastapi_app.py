"""A FastAPI application: forms, uploads, streams, server-sent events, a WebSocket, and a raw ASGI echo."""

import asyncio
import hashlib
import os
from typing import Annotated

from fastapi import FastAPI, File, Form, Request, Response, UploadFile, WebSocket
from fastapi.responses import StreamingResponse

app = FastAPI()


@app.middleware("http")
async def note(request: Request, call_next):
    log = os.environ.get("APP_CALLS")
    if log:
        with open(log, "a") as file:  # noqa: ASYNC230
            file.write(request.url.path + "\n")
    return await call_next(request)


@app.get("/")
async def index():
    return {"hello": "f\u00fcnf \u00c4pfel"}


@app.get("/search")
async def search(request: Request):
    return {"all": [list(pair) for pair in request.query_params.multi_items()]}


@app.post("/form")
async def form(name: Annotated[str, Form()], text: Annotated[str, Form()] = ""):
    return {"name": name, "text": text}


@app.post("/json")
async def json(request: Request):
    return await request.json()


@app.post("/upload")
async def upload(file: Annotated[UploadFile, File()], note: Annotated[str, Form()] = ""):
    data = await file.read()
    return {"name": file.filename, "size": len(data), "sha256": hashlib.sha256(data).hexdigest(), "note": note}


@app.post("/raw")
async def raw(request: Request):
    digest = hashlib.sha256()
    size = 0
    async for piece in request.stream():
        digest.update(piece)
        size += len(piece)
    return {"size": size, "sha256": digest.hexdigest()}


@app.get("/items/{item}")
async def items(item: int):
    return {"item": item}


@app.get("/stream")
async def stream():
    async def pieces():
        for i in range(50):
            yield bytes([i]) * 997

    return StreamingResponse(pieces(), media_type="application/octet-stream")


@app.get("/events")
async def events():
    async def pieces():
        for i in range(3):
            yield f"data: {i}\n\n"
            await asyncio.sleep(0.02)

    return StreamingResponse(pieces(), media_type="text/event-stream")


@app.get("/cookies")
async def cookies(request: Request):
    response = Response(request.headers.get("cookie", "none"))
    response.set_cookie("a", "1")
    response.set_cookie("b", "2")
    response.headers["X-Frame-Options"] = "DENY"
    return response


@app.get("/nothing", status_code=204)
async def nothing():
    return Response(status_code=204)


@app.head("/head")
async def head():
    return Response(headers={"X-A": "b"})


@app.get("/bytes")
async def plain_bytes():
    return Response(b"\xff\xfecaf\xe9\x00", media_type="application/octet-stream")


@app.get("/broken")
async def broken():
    raise RuntimeError("the application's own error")


@app.websocket("/socket")
async def socket(websocket: WebSocket):
    await websocket.accept()
    while True:
        text = await websocket.receive_text()
        await websocket.send_text(text[::-1])
        if text == "end":
            await websocket.close()
            return


if os.environ.get("APP_AGENT"):
    import erne_agent

    app.add_middleware(erne_agent.asgi.Middleware)
