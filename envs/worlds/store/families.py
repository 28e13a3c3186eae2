"""Ten kinds of request, each in a variant that the policy allows and most in one that it forbids.

A family is a function of a `Draw` that says what the customer wants and knows, what is in the database before, what has
to be in it afterwards (written as SQL of its own and not with the tools), which facts the customer has to be told, and
what an expert would call.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ...vocabulary import ToolCall
from .customer import Clue
from .database import STREETS, Edit, day, money, products
from .shop import LOST_DAYS, RETURN_DAYS
from .telling import Fact

_REFUND = "INSERT INTO refunds VALUES (?, ?, ?)"
_STOCK = "UPDATE products SET stock = stock + ? WHERE id = ?"
_REFUNDED = ("refund", "return", "back", "credit", "paid", "pay")  # an amount is said with one of these
_SHIPPED = ("ship", "sent", "dispatch", "way", "left")
_DELIVERED = ("deliver", "arriv", "receiv", "got it")


@dataclass(frozen=True)
class Wish:
    """One thing that a customer wants."""

    want: str
    clues: tuple[Clue, ...]
    setup: tuple[Edit, ...]  # what is in the database before
    calls: tuple[ToolCall, ...]  # an expert's
    answer: str  # an expert's words at the end
    told: tuple[Fact, ...]  # what the customer has to be told
    goal: tuple[Edit, ...] = ()  # what has to have changed afterwards
    refused: bool = False


@dataclass
class Draw:
    """Where a request takes its chance and its numbers from."""

    rng: np.random.Generator
    customer: int
    address: str
    order: int  # the number of the order, where there is one
    forbidden: bool
    goods: list[tuple[int, str, int]]  # products that no other request of this task is about

    def whole(self, low: int, high: int) -> int:
        """A whole number from `low` to `high`."""
        return int(self.rng.integers(low, high + 1))

    def product(self, stock: int) -> tuple[int, str, int, Edit]:
        """Number, name and price of a product, and the edit that puts `stock` of it on the shelf."""
        number, name, price = self.goods.pop()
        return number, name, price, ("UPDATE products SET stock = ? WHERE id = ?", (stock, number))

    def ordered(
        self, status: str, product: int, price: int, *, sent: int = 0, arrived: int = 0, paid: int = 1
    ) -> list[Edit]:
        """The order: one item, sent and delivered so many days ago, and paid so many times."""
        shipped = day(sent) if status != "pending" else None
        delivered = day(arrived) if status == "delivered" else None
        tracking = f"TR{self.order * 7919}" if shipped else None
        order = (self.order, self.customer, status, shipped, delivered, self.address, tracking)
        return [
            ("INSERT INTO orders VALUES (?, ?, ?, ?, ?, ?, ?)", order),
            ("INSERT INTO items VALUES (?, ?, 1, ?)", (self.order, product, price)),
            *(("INSERT INTO payments VALUES (?, ?, ?)", (self.order * 10 + n, self.order, price)) for n in range(paid)),
        ]

    def order_clue(self) -> Clue:
        """The number of the order."""
        return Clue(
            f"order {self.order}",
            f"The order number is {self.order}.",
            "What is the order number?",
            ("order number", "which order"),
        )

    def seen(self, text: str, words: tuple[str, ...], *, done: tuple[str, ...] = (), refusal: bool = True) -> Fact:
        """What a look at the order shows; the reason of a refusal, if nothing else is said."""
        return Fact(text, "get_order", (str(self.order), text), words, refusal, done)

    def refunded(self, text: str, tool: str, *also: str) -> Fact:
        """The amount that a call of `tool` for this order has paid back."""
        return Fact(text, tool, (str(self.order), text), (*_REFUNDED, *also))

    def look(self) -> ToolCall:
        """Look at the order."""
        return ToolCall("get_order", {"order_id": self.order})


def order_status(draw: Draw) -> Wish:
    """Where is my order? Nothing changes."""
    product, name, price, shelf = draw.product(draw.whole(1, 9))
    setup = draw.ordered("shipped", product, price, sent=draw.whole(1, 9))
    tracking = f"TR{draw.order * 7919}"
    answer = f"Your order is on its way. The tracking number is {tracking}."
    want = f"Where is my {name}? I would like the tracking number."
    return Wish(
        want,
        (draw.order_clue(),),
        (shelf, *setup),
        (draw.look(),),
        answer,
        (draw.seen(tracking, ("track", "number"), refusal=False),),
    )


def product_question(draw: Draw) -> Wish:
    """What does it cost, and how many are there? Nothing changes."""
    _, name, price, shelf = draw.product(draw.whole(11, 99))
    stock = shelf[1][0]
    clue = Clue(
        f"product {name}", f"I mean the {name}.", "Which product do you mean?", ("which product", "what product")
    )
    call = ToolCall("find_product", {"name": name})
    answer = f"The {name} costs {money(price)}, and {stock} are in stock."
    want = "What does something in your shop cost, and how many do you have?"
    told = (
        Fact(money(price), "find_product", (name, money(price)), ("cost", "price", "is", "sell", "for")),
        Fact(str(stock), "find_product", (name, str(stock)), ("stock", "have", "available", "left", "there are")),
    )
    return Wish(want, (clue,), (shelf,), (call,), answer, told)


def cancel(draw: Draw) -> Wish:
    """Cancel an order; forbidden once it is on its way."""
    product, name, price, shelf = draw.product(draw.whole(1, 9))
    want, clues = f"Please cancel my order of the {name}.", (draw.order_clue(),)
    if draw.forbidden:
        sent = draw.whole(1, 9)
        setup = (shelf, *draw.ordered("shipped", product, price, sent=sent))
        answer = f"I cannot cancel this order, because it was shipped on {day(sent)}."
        told = (
            draw.seen(day(sent), _SHIPPED, done=("is cancelled", "was cancelled", "been cancelled", "cancelled it")),
        )
        return Wish(want, clues, setup, (draw.look(),), answer, told, refused=True)
    goal: tuple[Edit, ...] = (
        ("UPDATE orders SET status = 'cancelled' WHERE id = ?", (draw.order,)),
        (_STOCK, (1, product)),
        (_REFUND, (draw.order, "cancelled", price)),
    )
    calls = (draw.look(), ToolCall("cancel_order", {"order_id": draw.order}))
    answer = f"Your order is cancelled, and {money(price)} is refunded."
    told = (draw.refunded(money(price), "cancel_order", "cancel"),)
    return Wish(want, clues, (shelf, *draw.ordered("pending", product, price)), calls, answer, told, goal)


def readdress(draw: Draw) -> Wish:
    """Send an order to another address; forbidden once it is on its way."""
    product, name, price, shelf = draw.product(draw.whole(1, 9))
    address = f"{draw.whole(100, 999)} {STREETS[draw.whole(0, len(STREETS) - 1)]}"
    known = Clue(
        f"address {draw.order}",
        f"The new address is {address}.",
        "What is the new address?",
        ("new address", "which address"),
    )
    want, clues = f"Please send my order of the {name} to another address.", (draw.order_clue(), known)
    if draw.forbidden:
        sent = draw.whole(1, 9)
        setup = (shelf, *draw.ordered("shipped", product, price, sent=sent))
        answer = f"I cannot change the address, because the order was shipped on {day(sent)}."
        told = (draw.seen(day(sent), _SHIPPED, done=("will be sent", "is changed", "was changed", "been changed")),)
        return Wish(want, clues, setup, (draw.look(),), answer, told, refused=True)
    goal: tuple[Edit, ...] = (("UPDATE orders SET address = ? WHERE id = ?", (address, draw.order)),)
    calls = (draw.look(), ToolCall("change_address", {"order_id": draw.order, "address": address}))
    answer = f"Your order will be sent to {address}."
    said = ("will be sent", "will go", "sent to", "ship", "chang", "updat", "now", "deliver")
    told = (Fact(address, "change_address", (str(draw.order), address), said),)
    return Wish(want, clues, (shelf, *draw.ordered("pending", product, price)), calls, answer, told, goal)


def bring_back(draw: Draw) -> Wish:
    """Return an item, opened or not; forbidden after 30 days."""
    product, name, price, shelf = draw.product(draw.whole(1, 9))
    opened = bool(draw.whole(0, 1))
    state = Clue(
        f"opened {draw.order}",
        f"I {'opened' if opened else 'did not open'} the box.",
        "Is it opened?",
        ("opened", "open"),
    )
    want, clues = f"I want to return the {name}.", (draw.order_clue(), state)
    arrived = draw.whole(RETURN_DAYS + 1, 80) if draw.forbidden else draw.whole(1, RETURN_DAYS)
    setup = (shelf, *draw.ordered("delivered", product, price, sent=arrived + 3, arrived=arrived))
    if draw.forbidden:
        answer = f"I cannot take it back: it was delivered on {day(arrived)}, more than {RETURN_DAYS} days ago."
        told = (draw.seen(day(arrived), _DELIVERED, done=("is refunded", "take it back", "been returned")),)
        return Wish(want, clues, setup, (draw.look(),), answer, told, refused=True)
    amount = price * 90 // 100 if opened else price
    goal: tuple[Edit, ...] = (
        ("INSERT INTO returns VALUES (?, ?, ?)", (draw.order, product, int(opened))),
        (_REFUND, (draw.order, f"returned {product}", amount)),
    )
    arguments = {"order_id": draw.order, "product_id": product, "opened": opened}
    answer = f"We take it back, and {money(amount)} is refunded."
    calls = (draw.look(), ToolCall("return_item", arguments))
    return Wish(want, clues, setup, calls, answer, (draw.refunded(money(amount), "return_item"),), goal)


def exchange(draw: Draw) -> Wish:
    """Exchange an item for another product; forbidden after 30 days."""
    product, name, price, shelf = draw.product(draw.whole(1, 9))
    new, new_name, new_price, new_shelf = draw.product(draw.whole(1, 9))
    wish = Clue(
        f"new {draw.order}",
        f"I would like the {new_name}.",
        "Which product would you like instead?",
        ("which product", "exchange it for", "instead"),
    )
    want, clues = f"I want to exchange the {name}.", (draw.order_clue(), wish)
    arrived = draw.whole(RETURN_DAYS + 1, 80) if draw.forbidden else draw.whole(1, RETURN_DAYS)
    setup = (shelf, new_shelf, *draw.ordered("delivered", product, price, sent=arrived + 3, arrived=arrived))
    if draw.forbidden:
        answer = f"I cannot exchange it: it was delivered on {day(arrived)}, more than {RETURN_DAYS} days ago."
        told = (draw.seen(day(arrived), _DELIVERED, done=("is exchanged", "been exchanged", "exchanged it")),)
        return Wish(want, clues, setup, (draw.look(),), answer, told, refused=True)
    goal: tuple[Edit, ...] = (
        ("UPDATE items SET product = ?, price = ? WHERE order_id = ?", (new, new_price, draw.order)),
        (_STOCK, (1, product)),
        (_STOCK, (-1, new)),
    )
    swap = ToolCall("exchange_item", {"order_id": draw.order, "product_id": product, "new_product_id": new})
    calls = (draw.look(), ToolCall("find_product", {"name": new_name}), swap)
    difference = money(abs(new_price - price))
    answer = f"It is exchanged. The difference is {difference}."
    told = (draw.refunded(difference, "exchange_item", "differ", "exchang"),)
    return Wish(want, clues, setup, calls, answer, told, goal)


def lost_parcel(draw: Draw) -> Wish:
    """Replace a lost parcel, or refund it where there is no stock; forbidden before 14 days."""
    stock = draw.whole(0, 2)
    product, name, price, shelf = draw.product(stock)
    sent = draw.whole(1, LOST_DAYS - 1) if draw.forbidden else draw.whole(LOST_DAYS, 40)
    want, clues = f"My {name} has not arrived. Please do something about it.", (draw.order_clue(),)
    setup = (shelf, *draw.ordered("shipped", product, price, sent=sent))
    if draw.forbidden:
        answer = f"It was shipped on {day(sent)} and does not count as lost before {LOST_DAYS} days. Please wait."
        told = (draw.seen(day(sent), _SHIPPED, done=("is refunded", "send it again", "sent again", "been replaced")),)
        return Wish(want, clues, setup, (draw.look(),), answer, told, refused=True)
    look = (draw.look(), ToolCall("find_product", {"name": name}))
    if stock == 0:
        call = ToolCall("refund_order", {"order_id": draw.order, "reason": "lost"})
        answer = f"It is out of stock, so {money(price)} is refunded."
        goal: tuple[Edit, ...] = ((_REFUND, (draw.order, "lost", price)),)
        return Wish(want, clues, setup, (*look, call), answer, (draw.refunded(money(price), "refund_order"),), goal)
    call = ToolCall("replace_parcel", {"order_id": draw.order})
    goal = (("UPDATE orders SET shipped = ? WHERE id = ?", (day(0), draw.order)), (_STOCK, (-1, product)))
    told = (Fact(day(-3), "replace_parcel", (str(draw.order), day(-3)), (*_DELIVERED, *_SHIPPED, "again", "replac")),)
    return Wish(want, clues, setup, (*look, call), f"We send it again. It arrives on {day(-3)}.", told, goal)


def charged_twice(draw: Draw) -> Wish:
    """Refund a second payment; forbidden where there was only one."""
    product, name, price, shelf = draw.product(draw.whole(1, 9))
    paid = 1 if draw.forbidden else 2
    arrived = draw.whole(1, 20)
    setup = (shelf, *draw.ordered("delivered", product, price, sent=arrived + 3, arrived=arrived, paid=paid))
    want, clues = f"I think I was charged twice for the {name}. Please check.", (draw.order_clue(),)
    if draw.forbidden:
        answer = f"There is only one payment of {money(price)}, so there is nothing to refund."
        told = (draw.seen(money(price), ("payment", "paid", "pay", "charge"), done=("is refunded", "been refunded")),)
        return Wish(want, clues, setup, (draw.look(),), answer, told, refused=True)
    call = ToolCall("refund_order", {"order_id": draw.order, "reason": "charged twice"})
    goal: tuple[Edit, ...] = ((_REFUND, (draw.order, "charged twice", price)),)
    answer = f"You were charged twice, and {money(price)} is refunded."
    return Wish(want, clues, setup, (draw.look(), call), answer, (draw.refunded(money(price), "refund_order"),), goal)


def contact(draw: Draw) -> Wish:
    """Change a phone number or an email."""
    field = "email" if draw.whole(0, 1) else "phone"
    number = draw.whole(1000, 9999)
    value = f"walker{number}@post.example" if field == "email" else f"555-{number}"
    clue = Clue(f"new {field}", f"The new {field} is {value}.", f"What is the new {field}?", (f"new {field}",))
    call = ToolCall("update_contact", {"customer_id": draw.customer, "field": field, "value": value})
    sql = {
        "email": "UPDATE customers SET email = ? WHERE id = ?",
        "phone": "UPDATE customers SET phone = ? WHERE id = ?",
    }
    goal: tuple[Edit, ...] = ((sql[field], (value, draw.customer)),)
    answer = f"Your {field} is now {value}."
    said = ("is now", "now", "changed", "updated", "set to", "replaced", "saved", "registered", "on file")
    told = (Fact(value, "update_contact", (value,), said),)
    return Wish(f"Please change my {field}.", (clue,), (), (call,), answer, told, goal)


def buy(draw: Draw) -> Wish:
    """Order something; impossible where there is not enough of it."""
    quantity = draw.whole(2, 4)
    stock = draw.whole(0, quantity - 1) if draw.forbidden else draw.whole(quantity, 9)
    product, name, price, shelf = draw.product(stock)
    clue = Clue(f"quantity {name}", f"I want {quantity} of them.", "How many do you want?", ("how many", "quantity"))
    want, look = f"I want to buy the {name}.", ToolCall("find_product", {"name": name})
    if draw.forbidden:
        answer = f"I cannot sell you {quantity}: there are {stock} in stock."
        done = ("is placed", "been placed", "placed your order", "ordered")
        told = (
            Fact(str(stock), "find_product", (name, str(stock)), ("stock", "have", "available", "left"), True, done),
        )
        return Wish(want, (clue,), (shelf,), (look,), answer, told, refused=True)
    arguments = {"customer_id": draw.customer, "product_id": product, "quantity": quantity}
    goal: tuple[Edit, ...] = (
        (
            "INSERT INTO orders SELECT max(id) + 1, ?, 'pending', NULL, NULL, ?, NULL FROM orders",
            (draw.customer, draw.address),
        ),
        ("INSERT INTO items SELECT max(id), ?, ?, ? FROM orders", (product, quantity, price)),
        ("INSERT INTO payments SELECT max(id), max(id), ? FROM orders", (quantity * price,)),
        (_STOCK, (-quantity, product)),
    )
    answer = f"Your order is placed for {money(quantity * price)}."
    calls = (look, ToolCall("place_order", arguments))
    said = ("placed", "order", "bought", "cost", "total", "charge", "paid", "pay")
    told = (Fact(money(quantity * price), "place_order", (str(product), money(quantity * price)), said),)
    return Wish(want, (clue,), (shelf,), calls, answer, told, goal)


WishFamily = Callable[[Draw], Wish]
FAMILIES: dict[str, WishFamily] = {
    "order_status": order_status,
    "product_question": product_question,
    "cancel": cancel,
    "readdress": readdress,
    "bring_back": bring_back,
    "exchange": exchange,
    "lost_parcel": lost_parcel,
    "charged_twice": charged_twice,
    "contact": contact,
    "buy": buy,
}
NEVER_FORBIDDEN = frozenset({"order_status", "product_question", "contact"})


def shuffled_goods(rng: np.random.Generator) -> list[tuple[int, str, int]]:
    """Everything that the shop sells, in a random order."""
    goods = products()
    return [goods[int(index)] for index in rng.permutation(len(goods))]
