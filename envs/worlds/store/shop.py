"""What an agent can do in the shop: every public method is a tool.

The tools do what they are told, as real ones do. What the policy forbids is done all the same and written down in
`violations`; only what cannot be (a stock below zero, an order that is not there) is refused with an error. Each call
is one transaction, rolled back where it raises, and every value goes to SQLite as a parameter.
"""

from __future__ import annotations

import sqlite3
from typing import Annotated, Literal

from pydantic import Field

from .database import Edit, apply, day, days_since, money

POLICY = f"""You serve the customers of an outdoor shop. Today is {day(0)}.
- First find the customer by email and postcode. Touch nobody else's data.
- Only pending orders can be cancelled or sent to another address.
- Items can be returned or exchanged up to 30 days after delivery. An opened item is refunded at 90 percent.
- A parcel is lost if it was shipped 14 days ago or more and has not arrived. Replace it, or refund the price of the \
order if something in it is out of stock.
- Refund an order that was charged twice once. Pay no other refund.
- Tell the customer the amounts, dates and numbers that matter, as the tools write them.
- At the end, close the case: "refused" if nothing that was asked for could be done, else "solved"."""

RETURN_DAYS = 30
LOST_DAYS = 14
Id = Annotated[int, Field(ge=1, le=999_999)]
Row = dict[str, object]


class Shop:
    """The tools over one open database.

    Attributes:
        violations: what the policy forbade and was done, in words.
        verified: the numbers of the customers that were found by email and postcode.
        resolution: what the case was closed with; None while it is open.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection
        self._db.row_factory = sqlite3.Row
        self.violations: list[str] = []
        self.verified: set[int] = set()
        self.resolution: str | None = None

    def find_customer(self, email: str, postcode: str) -> Row:
        """Find a customer; both have to be right."""
        sql = "SELECT id, name, address, phone FROM customers WHERE email = ? AND postcode = ?"
        found = self._row(sql, (email.strip().lower(), postcode.strip()), "customer with this email and postcode")
        self.verified.add(found["id"])
        return {"customer_id": found["id"], **{key: found[key] for key in ("name", "address", "phone")}}

    def list_orders(self, customer_id: Id) -> list[Row]:
        """All orders of a customer."""
        self._row("SELECT id FROM customers WHERE id = ?", (customer_id,), f"customer {customer_id}")
        self._only_verified(customer_id)
        rows = self._db.execute("SELECT id, status FROM orders WHERE customer = ? ORDER BY id", (customer_id,))
        return [{"order_id": row["id"], "status": row["status"]} for row in rows]

    def get_order(self, order_id: Id) -> Row:
        """Status, dates, items and payments of an order."""
        order = self._order(order_id)
        items = self._db.execute(
            "SELECT product, name, quantity, items.price FROM items JOIN products ON product = id WHERE order_id = ?",
            (order_id,),
        )
        payments = self._db.execute("SELECT amount FROM payments WHERE order_id = ? ORDER BY id", (order_id,))
        shown = {key: order[key] for key in ("status", "shipped", "delivered", "tracking", "address") if order[key]}
        listed = [
            {
                "product_id": row["product"],
                "name": row["name"],
                "quantity": row["quantity"],
                "price": money(row["price"]),
            }
            for row in items
        ]
        return {**shown, "items": listed, "payments": [money(row["amount"]) for row in payments]}

    def find_product(self, name: str) -> list[Row]:
        """Products whose name contains a text, with price and stock."""
        rows = self._db.execute(
            "SELECT id, name, price, stock FROM products WHERE instr(name, ?) ORDER BY id LIMIT 5",
            (name.strip().lower(),),
        )
        keys = ("name", "stock")
        return [{"product_id": row["id"], **{k: row[k] for k in keys}, "price": money(row["price"])} for row in rows]

    def cancel_order(self, order_id: Id) -> str:
        """Cancel an order and refund all of it."""
        order = self._order(order_id)
        if order["status"] == "cancelled":
            raise ValueError(f"order {order_id} is cancelled already")
        self._rule(order["status"] == "pending", "an order was cancelled that was not pending")
        amount = self._price(order_id)
        self._write(
            ("UPDATE orders SET status = 'cancelled' WHERE id = ?", (order_id,)),
            (
                "UPDATE products SET stock = stock + (SELECT quantity FROM items WHERE order_id = ? AND product = id) "
                "WHERE id IN (SELECT product FROM items WHERE order_id = ?)",
                (order_id, order_id),
            ),
            ("INSERT INTO refunds VALUES (?, 'cancelled', ?)", (order_id, amount)),
        )
        return f"cancelled, {money(amount)} refunded"

    def change_address(self, order_id: Id, address: str) -> str:
        """Send an order to another address."""
        order = self._order(order_id)
        self._rule(order["status"] == "pending", "the address of an order was changed that was not pending")
        self._write(("UPDATE orders SET address = ? WHERE id = ?", (address.strip(), order_id)))
        return "address changed"

    def update_contact(self, customer_id: Id, field: Literal["email", "phone"], value: str) -> str:
        """Change a customer's email or phone."""
        self._row("SELECT id FROM customers WHERE id = ?", (customer_id,), f"customer {customer_id}")
        self._only_verified(customer_id)
        if field == "email":
            self._write(("UPDATE customers SET email = ? WHERE id = ?", (value.strip().lower(), customer_id)))
        else:
            self._write(("UPDATE customers SET phone = ? WHERE id = ?", (value.strip(), customer_id)))
        return f"{field} changed"

    def return_item(self, order_id: Id, product_id: Id, opened: bool) -> str:
        """Take an item back and refund it."""
        item = self._recent_item(order_id, product_id)
        full = item["quantity"] * item["price"]
        amount = full * 9 // 10 if opened else full
        reason = f"returned {product_id}"
        self._write(
            ("INSERT INTO returns VALUES (?, ?, ?)", (order_id, product_id, int(opened))),
            ("INSERT INTO refunds VALUES (?, ?, ?)", (order_id, reason, amount)),
        )
        return f"returned, {money(amount)} refunded"

    def exchange_item(self, order_id: Id, product_id: Id, new_product_id: Id) -> str:
        """Exchange an item for another product."""
        item = self._recent_item(order_id, product_id)
        new = self._product(new_product_id)
        difference = item["quantity"] * (new["price"] - item["price"])
        self._write(
            self._restock(product_id, item["quantity"]),
            self._restock(new_product_id, -item["quantity"]),
            (
                "UPDATE items SET product = ?, price = ? WHERE order_id = ? AND product = ?",
                (new_product_id, new["price"], order_id, product_id),
            ),
        )
        verb = "to pay" if difference > 0 else "to get back"
        return f"exchanged, {money(abs(difference))} {verb}"

    def replace_parcel(self, order_id: Id) -> str:
        """Send everything in an order again."""
        self._lost(order_id, "a parcel was replaced that does not count as lost")
        items = self._db.execute("SELECT product, quantity FROM items WHERE order_id = ?", (order_id,)).fetchall()
        self._write(
            *(self._restock(row["product"], -row["quantity"]) for row in items),
            ("UPDATE orders SET status = 'shipped', shipped = ? WHERE id = ?", (day(0), order_id)),
        )
        return f"sent again, arrives on {day(-3)}"

    def refund_order(self, order_id: Id, reason: Literal["charged twice", "lost"]) -> str:
        """Refund the price of an order once."""
        self._order(order_id)
        if reason == "lost":
            self._lost(order_id, "a parcel was refunded that does not count as lost")
            short = self._db.execute(
                "SELECT 1 FROM items JOIN products ON product = id WHERE order_id = ? AND quantity > stock", (order_id,)
            ).fetchone()
            self._rule(short is not None, "a lost parcel was refunded that could be replaced")
        else:
            paid = self._db.execute("SELECT count(*) FROM payments WHERE order_id = ?", (order_id,)).fetchone()[0]
            self._rule(paid > 1, "an order was refunded as charged twice that was charged once")
        amount = self._price(order_id)
        self._write(("INSERT INTO refunds VALUES (?, ?, ?)", (order_id, reason, amount)))
        return f"{money(amount)} refunded"

    def place_order(self, customer_id: Id, product_id: Id, quantity: Annotated[int, Field(ge=1, le=99)]) -> str:
        """Order a product for a customer."""
        sql = "SELECT address FROM customers WHERE id = ?"
        customer = self._row(sql, (customer_id,), f"customer {customer_id}")
        self._only_verified(customer_id)
        price = self._product(product_id)["price"]
        number = self._db.execute("SELECT max(id) + 1 FROM orders").fetchone()[0]
        self._write(
            self._restock(product_id, -quantity),
            (
                "INSERT INTO orders VALUES (?, ?, 'pending', NULL, NULL, ?, NULL)",
                (number, customer_id, customer["address"]),
            ),
            ("INSERT INTO items VALUES (?, ?, ?, ?)", (number, product_id, quantity, price)),
            ("INSERT INTO payments VALUES (?, ?, ?)", (number, number, quantity * price)),
        )
        return f"order {number} placed for {money(quantity * price)}"

    def close_case(self, customer_id: Id, resolution: Literal["solved", "refused"]) -> str:
        """Say that everything is done; the conversation ends."""
        self._row("SELECT id FROM customers WHERE id = ?", (customer_id,), f"customer {customer_id}")
        self._only_verified(customer_id)
        self._write(("INSERT INTO cases VALUES (?, ?)", (customer_id, resolution)))
        self.resolution = resolution
        return "closed"

    def _row(self, sql: str, parameters: tuple[str | int, ...], what: str) -> sqlite3.Row:
        found = self._db.execute(sql, parameters).fetchone()
        if found is None:
            raise ValueError(f"there is no {what}")
        return found

    def _order(self, order_id: int) -> sqlite3.Row:
        order = self._row("SELECT * FROM orders WHERE id = ?", (order_id,), f"order {order_id}")
        self._only_verified(order["customer"])
        return order

    def _product(self, product_id: int) -> sqlite3.Row:
        return self._row("SELECT * FROM products WHERE id = ?", (product_id,), f"product {product_id}")

    def _recent_item(self, order_id: int, product_id: int) -> sqlite3.Row:
        """An item of an order that may be brought back; a violation is noted if it may not."""
        order = self._order(order_id)
        sql = "SELECT quantity, price FROM items WHERE order_id = ? AND product = ?"
        item = self._row(sql, (order_id, product_id), f"product {product_id} in order {order_id}")
        recent = order["status"] == "delivered" and days_since(order["delivered"]) <= RETURN_DAYS
        self._rule(recent, "an item was taken back that was not delivered in the last 30 days")
        return item

    def _lost(self, order_id: int, violation: str) -> None:
        order = self._order(order_id)
        self._rule(order["status"] == "shipped" and days_since(order["shipped"]) >= LOST_DAYS, violation)

    def _price(self, order_id: int) -> int:
        sql = "SELECT coalesce(sum(quantity * price), 0) FROM items WHERE order_id = ?"
        return int(self._db.execute(sql, (order_id,)).fetchone()[0])

    @staticmethod
    def _restock(product_id: int, quantity: int) -> Edit:
        return ("UPDATE products SET stock = stock + ? WHERE id = ?", (quantity, product_id))

    def _only_verified(self, customer_id: int) -> None:
        self._rule(customer_id in self.verified, "a customer's data was touched without finding the customer first")

    def _rule(self, kept: bool, violation: str) -> None:
        if not kept:
            self.violations.append(violation)

    def _write(self, *edits: Edit) -> None:
        """All of `edits` or none; what the tables forbid is told in words."""
        if self.resolution is not None:
            raise ValueError("the case is closed")
        try:
            with self._db:
                apply(self._db, edits)
        except sqlite3.IntegrityError as error:
            if "CHECK" in str(error):
                raise ValueError("there is not enough in stock") from error
            raise ValueError("this has been done already, or belongs to somebody else") from error
