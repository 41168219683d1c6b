"""A Flask application as people write them: forms, uploads, sessions, streams, errors."""

import hashlib
import os

from flask import Flask, Response, abort, jsonify, make_response, request, send_file, stream_with_context

app = Flask(__name__)
app.config["MAX_CONTENT_LENGTH"] = 64 << 20


@app.before_request
def note():
    log = os.environ.get("APP_CALLS")
    if log:
        with open(log, "a") as file:
            file.write(request.path + "\n")


@app.get("/")
def index():
    return "<h1>Willkommen, f\u00fcnf \u00c4pfel</h1>"


@app.get("/search")
def search():
    return jsonify(q=request.args.get("q"), all=request.args.to_dict(flat=False))


@app.route("/form", methods=["POST", "PUT"])
def form():
    return jsonify(form=request.form.to_dict(flat=False), json=request.get_json(silent=True))


@app.post("/upload")
def upload():
    told = {}
    for name, file in request.files.items(multi=True):
        data = file.read()
        told[name] = [file.filename, len(data), hashlib.sha256(data).hexdigest()]
    return jsonify(files=told, form=request.form.to_dict(flat=False))


@app.route("/raw", methods=["POST", "PUT", "PATCH"])
def raw():
    digest = hashlib.sha256()
    size = 0
    while piece := request.stream.read(7001):
        digest.update(piece)
        size += len(piece)
    return jsonify(size=size, sha256=digest.hexdigest())


@app.get("/items/<int:item>")
def items(item):
    return jsonify(item=item)


@app.get("/stream")
def stream():
    def pieces():
        for i in range(50):
            yield bytes([i]) * 997

    return Response(stream_with_context(pieces()), mimetype="application/octet-stream")


@app.get("/events")
def events():
    return Response((f"id: {i}\ndata: {i}\n\n" for i in range(5)), mimetype="text/event-stream")


@app.get("/file")
def file():
    return send_file(__file__, mimetype="text/x-python", conditional=True)


@app.get("/cookies")
def cookies():
    response = make_response(request.headers.get("Cookie", "none"))
    response.set_cookie("a", "1", httponly=True)
    response.set_cookie("b", "2")
    response.headers["X-Frame-Options"] = "DENY"
    return response


@app.get("/nothing")
def nothing():
    return "", 204


@app.get("/bytes")
def plain_bytes():
    return Response(b"\xff\xfecaf\xe9\x00", mimetype="text/plain; charset=latin-1")


@app.get("/broken")
def broken():
    raise RuntimeError("the application's own error")


@app.get("/teapot")
def teapot():
    abort(418)


if os.environ.get("APP_AGENT"):
    import erne_agent

    erne_agent.flask(app)
