"""A shop that is open to SQL injection on purpose: what `scripts/e2e_sqlmap.sh` attacks. Only for loopback."""

import os
import sqlite3

from flask import Flask, abort, request

app = Flask(__name__)
DATABASE = os.environ.get("APP_DATABASE", "vulnerable.sqlite")

with sqlite3.connect(DATABASE) as made:
    made.executescript(
        """
        CREATE TABLE IF NOT EXISTS items (id INTEGER PRIMARY KEY, name TEXT, price REAL);
        CREATE TABLE IF NOT EXISTS users (id INTEGER PRIMARY KEY, name TEXT, password TEXT);
        INSERT OR REPLACE INTO items VALUES (1, 'lamp', 19.9), (2, 'chair', 49), (3, 'table', 120);
        INSERT OR REPLACE INTO users VALUES (1, 'anna', 'correct horse'), (2, 'ben', 'battery staple');
        """
    )


def rows(statement):
    with sqlite3.connect(DATABASE, timeout=10) as connection:
        return "<ul>" + "".join(f"<li>{row}</li>" for row in connection.execute(statement)) + "</ul>"


@app.get("/item")
def item():
    return rows("SELECT name, price FROM items WHERE id = " + request.args.get("id", "1"))


@app.get("/find")
def find():
    try:
        return rows(f"SELECT name, price FROM items WHERE name LIKE '%{request.args.get('q', '')}%'")
    except sqlite3.Error:
        abort(500)


@app.post("/login")
def login():
    name = request.form.get("name", "")
    return "welcome" if "<li>" in rows(f"SELECT id FROM users WHERE name = '{name}'") else "who?"


@app.post("/api/item")
def api_item():
    return rows(f"SELECT name, price FROM items WHERE id = {request.get_json()['id']}")


if os.environ.get("APP_AGENT"):
    import erne_agent

    erne_agent.flask(app)
