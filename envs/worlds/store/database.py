"""The shop's database: one template in memory, and a copy of it for every episode.

    connection = open_copy()        about a tenth of a millisecond
    …
    snapshot(connection)            every row of every table: two states are equal if their snapshots are

Copies share nothing: SQLite reads each from its own bytes. All SQL here and in the shop is constant text with
parameters. Amounts are whole cents and days are ISO dates, so that equality is exact.
"""

from __future__ import annotations

import functools
import sqlite3
from collections.abc import Iterable
from datetime import date, timedelta

from ...seeding import stream

TODAY = date(2030, 6, 15)
Edit = tuple[str, tuple[str | int | None, ...]]  # constant SQL and its parameters
Snapshot = dict[str, frozenset[tuple[object, ...]]]

TABLES = ("customers", "products", "orders", "items", "payments", "refunds", "returns", "cases")
_SCHEMA = """
CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT NOT NULL, email TEXT NOT NULL UNIQUE,
                        postcode TEXT NOT NULL, address TEXT NOT NULL, phone TEXT NOT NULL);
CREATE TABLE products  (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, price INTEGER NOT NULL,
                        stock INTEGER NOT NULL CHECK (stock >= 0));
CREATE TABLE orders    (id INTEGER PRIMARY KEY, customer INTEGER NOT NULL REFERENCES customers,
                        status TEXT NOT NULL CHECK (status IN ('pending', 'shipped', 'delivered', 'cancelled')),
                        shipped TEXT, delivered TEXT, address TEXT NOT NULL, tracking TEXT);
CREATE TABLE items     (order_id INTEGER NOT NULL REFERENCES orders, product INTEGER NOT NULL REFERENCES products,
                        quantity INTEGER NOT NULL CHECK (quantity > 0), price INTEGER NOT NULL,
                        PRIMARY KEY (order_id, product)) WITHOUT ROWID;
CREATE TABLE payments  (id INTEGER PRIMARY KEY, order_id INTEGER NOT NULL REFERENCES orders, amount INTEGER NOT NULL);
CREATE TABLE refunds   (order_id INTEGER NOT NULL REFERENCES orders, reason TEXT NOT NULL, amount INTEGER NOT NULL,
                        PRIMARY KEY (order_id, reason)) WITHOUT ROWID;
CREATE TABLE returns   (order_id INTEGER NOT NULL REFERENCES orders, product INTEGER NOT NULL REFERENCES products,
                        opened INTEGER NOT NULL, PRIMARY KEY (order_id, product)) WITHOUT ROWID;
CREATE TABLE cases     (customer INTEGER PRIMARY KEY REFERENCES customers, resolution TEXT NOT NULL);
"""

FIRST_NAMES = ("Ada", "Boris", "Chloe", "Dmitri", "Elif", "Farid", "Greta", "Hugo", "Ines", "Jonas", "Keiko", "Luca")
LAST_NAMES = ("Adler", "Brandt", "Costa", "Dubois", "Eriksen", "Fischer", "Garcia", "Horvat", "Ivanova", "Jansen")
STREETS = ("Birch Lane", "Canal Street", "Forest Road", "Harbour Walk", "Mill Hill", "Park Row", "Station Road")
_ADJECTIVES = ("red", "blue", "green", "black")
_NOUNS = (("rain cape", 4_990), ("walking boots", 11_900), ("wool hat", 2_450), ("backpack", 8_900), ("lantern", 3_275))


def day(ago: int) -> str:
    """The ISO date `ago` days before today; negative for days to come."""
    return (TODAY - timedelta(days=ago)).isoformat()


def days_since(text: str) -> int:
    """How many days ago an ISO date was."""
    return (TODAY - date.fromisoformat(text)).days


def money(cents: int) -> str:
    """ "1234.50" """
    return f"{cents // 100}.{cents % 100:02d}"


def open_copy() -> sqlite3.Connection:
    """A database of its own, equal to the template. It may be used by one thread after another."""
    connection = sqlite3.connect(":memory:", check_same_thread=False)
    connection.deserialize(_template())
    connection.execute("PRAGMA foreign_keys = ON")
    return connection


def apply(connection: sqlite3.Connection, edits: Iterable[Edit]) -> None:
    """Execute edits, and leave the transaction to the caller."""
    for sql, parameters in edits:
        connection.execute(sql, parameters)


def snapshot(connection: sqlite3.Connection) -> Snapshot:
    """Every row of every table."""
    return {table: frozenset(map(tuple, connection.execute(f"SELECT * FROM {table}"))) for table in TABLES}


def distance(one: Snapshot, two: Snapshot) -> int:
    """How many rows are in one of two states and not in the other."""
    return sum(len(one[table] ^ two[table]) for table in TABLES)


@functools.cache
def products() -> tuple[tuple[int, str, int], ...]:
    """Number, name and price in cents of everything that the shop sells. No name is part of another."""
    goods = [(f"{adjective} {noun}", price) for noun, price in _NOUNS for adjective in _ADJECTIVES]
    return tuple((501 + 7 * n, name, price + 10 * n) for n, (name, price) in enumerate(goods))


@functools.cache
def _template() -> bytes:
    """A shop with other people's orders in it, as SQLite's own bytes. Its customers have even numbers."""
    rng = stream(0, "store", "template")
    connection = sqlite3.connect(":memory:")
    try:
        connection.executescript(_SCHEMA)
        goods = products()
        rows = [(number, name, price, int(rng.integers(3, 30))) for number, name, price in goods]
        connection.executemany("INSERT INTO products VALUES (?, ?, ?, ?)", rows)
        for n in range(40):
            first, last = FIRST_NAMES[n % len(FIRST_NAMES)], LAST_NAMES[n // 4]
            email, address = f"{first}.{last}.{n}@mail.example".lower(), f"{n + 1} {STREETS[n % len(STREETS)]}"
            customer = (20_000 + 2 * n, f"{first} {last}", email, str(10_000 + 37 * n), address, f"555-{7000 + n}")
            connection.execute("INSERT INTO customers VALUES (?, ?, ?, ?, ?, ?)", customer)
            order, (product, _, price) = 1_000 + n, goods[int(rng.integers(len(goods)))]
            ago = int(rng.integers(5, 90))
            sent = (order, customer[0], "delivered", day(ago), day(ago - 3), address, f"TR{order * 7919}")
            connection.execute("INSERT INTO orders VALUES (?, ?, ?, ?, ?, ?, ?)", sent)
            connection.execute("INSERT INTO items VALUES (?, ?, 1, ?)", (order, product, price))
            connection.execute("INSERT INTO payments VALUES (?, ?, ?)", (order, order, price))
        connection.commit()
        return connection.serialize()
    finally:
        connection.close()
