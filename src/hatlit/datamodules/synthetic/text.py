"""A fleet of shops that never were: short messages of their customers, put together by a small grammar.

A message greets or does not, names a product, says what it is about in one or two phrases, and fills up with things
that mean nothing. How the six intents are said depends on the manner of a shop's customers, which some shops share; the
products depend on its trade. Every shop has phrases and products of its own, and each product is written about with
some intents more than with others, which holds in that shop alone. Writers differ in case, punctuation and typing
errors. So it matters whom a newcomer learns from: shops of its own manner.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hatlit.datamodules.base import Domain, DomainSet, register_dataset
from hatlit.datamodules.synthetic.common import refuse_root
from hatlit.datamodules.text import pad_texts, recorded_form

WRITERS = 60  # of each shop
MESSAGES = 3  # of each writer
LENGTH = 192  # bytes, longer than nearly every message

#: What messages are about, and how that may be said. Some words turn up under several intents.
_PHRASES = {
    "praise": (
        "love it|really great|well made|works perfectly|five stars|thank you so much|brilliant thing|"
        "so happy with it|very impressed|top quality|wicked|spot on|a joy to use|delighted|would recommend it|"
        "great value|sick|it is a keeper|worth every penny|my family adores it|exceeded my hopes|lush|"
        "could not ask for more|buzzing"
    ),
    "complaint": (
        "it broke|totally useless|rubbish|poor quality|very disappointed|stopped working|faulty|feels cheap|"
        "came damaged|terrible|not happy with it|complete waste|gutted|what a mess|fell apart|does not work|"
        "never again|scratched all over|let me down|shoddy|one star|it is dead|regret buying it|awful"
    ),
    "refund": (
        "money back|want a refund|like to return it|sending it back|please reimburse me|need a credit note|"
        "charged twice|you overcharged me|pay me back|wrong amount taken|where is my cash|return label|"
        "claim what i paid|give me my dosh|refuse to pay|credit my card|compensation|the price was lower|"
        "billed by mistake|owe me|repay|send the money|bank says you took it|invoice is wrong"
    ),
    "delivery": (
        "where is my parcel|the courier never came|no tracking|has not arrived|running late|was it shipped|"
        "not dispatched yet|still waiting|lost in the post|left at the wrong door|out for delivery|"
        "when will it come|van drove past|depot has it|a week now|no sign of it|wrong address|expected it monday|"
        "missed the driver|package stuck|on its way|delayed again|nobody rang|took ages"
    ),
    "question": (
        "do you have|does it fit|how do i use|is there a|which size|where is the manual|in stock|can i wash|"
        "is it compatible|any idea if|what colour|how long does|could you tell me|wondering whether|"
        "does it come with|what is the difference|how heavy|need advice on|tell me more|is it suitable for|"
        "got a guide|how many|safe for kids|specs please"
    ),
    "cancel": (
        "please cancel|stop my order|close my account|no longer need|changed my mind|do not send it|call it off|"
        "end my plan|unsubscribe me|scrap the order|forget it|bought it elsewhere|ordered by accident|"
        "take me off the list|not wanted anymore|void my purchase|drop it|leave it out|withdraw my order|"
        "not renewing|bin the order|pull out|stop sending|finished with you"
    ),
}
INTENTS = tuple(_PHRASES)

_PRODUCTS = (  # of each trade
    "novel|cookbook|atlas|diary|thriller|poems|comic|textbook|biography|audiobook|dictionary|magazine",
    "kettle|toaster|pan|blender|knife|mug|scale|oven glove|grinder|teapot|whisk|freezer box",
    "charger|screen|headset|case|battery|sim card|tablet|cable|speaker|watch|camera|adapter",
)
_OPENINGS = "hello|hi there|dear team|good morning|hey|sorry to bother you|to whom it may concern|yo|evening all|ok so"
_FILLERS = (
    "i ordered it last week|it was a present|my neighbour has one too|as i wrote before|just so you know|"
    "for the office|from your web page|for my sister|after the holidays|we are moving house|it is raining here|"
    "by the way|on tuesday|as far as i can see|to be honest|the dog was asleep|you know me|in the sale|"
    "my second one|like last year"
)
_CLOSINGS = "cheers|kind regards|thanks|bye|best wishes|yours faithfully|ta|have a nice day|speak soon|regards"

_MANNERS = 4  # ways of saying things
_KNOWN = 6  # phrases that customers of one manner have for an intent
_OWN = 0.25  # chance of each to be another one in a single shop
_RANGE = 6  # products of a shop
_TILT = 0.6  # Dirichlet concentration of products given an intent; the smaller, the more a product tells
_TWICE = 0.6  # chance to say it in two ways
_ASIDE = 0.2  # chance to mention something of any intent besides


@dataclass(frozen=True)
class _Shop:
    """One shop and how its customers write."""

    phrases: tuple[tuple[str, ...], ...]  # of each intent
    products: tuple[str, ...]
    demand: np.ndarray  # (intents, products) shares
    habits: tuple[tuple[str, ...], ...]  # openings, fillers, closings
    slips: float  # typing errors a letter


@register_dataset("demo", "text")
def demo(root: Path | None, modality: str) -> DomainSet:
    """Synthetic: 12 made-up shops x 6 intents, short messages of customers in English.

    Licence: as the package itself; nobody wrote these.
    Citation: none; the grammar stands in ``hatlit.datamodules.synthetic.text``.

    Raises:
        InputError: a root was given.
    """
    refuse_root(root)
    return DomainSet("demo", modality, build_fleet(), INTENTS, is_demo=True)


def build_fleet(num_domains: int = 12, seed: int = 0) -> tuple[Domain, ...]:
    """Makes up shops and their messages. Domain number n is the same in fleets of any size with the same seed.

    Args:
        num_domains: how many shops.
        seed: of everything random.

    Returns:
        Domains named ``demo-01`` and so on, of six intents with 30 messages each, (N, 1, bytes) uint8; the messages of
        one writer are one group.
    """
    return tuple(_collect(number, seed) for number in range(num_domains))


def _collect(number: int, seed: int) -> Domain:
    rng = np.random.default_rng((seed, 1, number))
    shop = _open(number, seed, rng)
    labels = rng.permutation(np.arange(WRITERS * MESSAGES) % len(INTENTS))
    texts = [text for own in labels.reshape(WRITERS, MESSAGES) for text in _write(shop, own, rng)]
    return Domain(
        name=f"demo-{number + 1:02d}",
        samples=pad_texts(texts, LENGTH),
        labels=labels,
        groups=np.repeat(np.arange(WRITERS), MESSAGES),
        recorded=recorded_form(LENGTH),
        class_names=INTENTS,
    )


def _open(number: int, seed: int, rng: np.random.Generator) -> _Shop:
    """Draws a shop: first its manner, shared with others, then what is its own."""
    shared = np.random.default_rng((seed, 0, number % _MANNERS))
    phrases = tuple(
        tuple(_pick(rng, pool, 1)[0] if rng.random() < _OWN else phrase for phrase in _pick(shared, pool, _KNOWN))
        for pool in _PHRASES.values()
    )
    return _Shop(
        phrases=phrases,
        products=_pick(rng, _PRODUCTS[number // _MANNERS % len(_PRODUCTS)], _RANGE),
        demand=rng.dirichlet(np.full(_RANGE, _TILT), len(INTENTS)),
        habits=tuple(_pick(shared, pool, 4) for pool in (_OPENINGS, _FILLERS, _CLOSINGS)),
        slips=rng.uniform(0, 0.015),
    )


def _write(shop: _Shop, intents: np.ndarray, rng: np.random.Generator) -> list[bytes]:
    """The messages of one writer, in a writing of their own."""
    capitals = [str.lower, str.capitalize, str.upper][rng.choice(3, p=[0.45, 0.45, 0.1])]
    mark = ["", ".", "!", "..."][rng.integers(4)]
    messages = []
    for intent in intents:
        sentences = [capitals(sentence) + mark for sentence in _sentences(shop, intent, rng)]
        messages.append(_mistype(" ".join(sentences), shop.slips, rng).encode())
    return messages


def _sentences(shop: _Shop, intent: int, rng: np.random.Generator) -> list[str]:
    openings, fillers, closings = shop.habits
    product = shop.products[rng.choice(_RANGE, p=shop.demand[intent])]
    said = rng.permutation(shop.phrases[intent])[: 2 if rng.random() < _TWICE else 1]
    middle = [f"the {product} {said[0]}", *said[1:], *rng.permutation(fillers)[: rng.integers(3)]]
    if rng.random() < _ASIDE:
        middle.append(rng.choice(shop.phrases[rng.integers(len(INTENTS))]))
    ends = [[rng.choice(pool)] if rng.random() < 0.5 else [] for pool in (openings, closings)]
    return [*ends[0], *rng.permutation(middle), *ends[1]]


def _mistype(text: str, slips: float, rng: np.random.Generator) -> str:
    """Swaps neighbouring letters here and there."""
    letters = list(text)
    for place in np.flatnonzero(rng.random(len(letters) - 1) < slips):
        letters[place], letters[place + 1] = letters[place + 1], letters[place]
    return "".join(letters)


def _pick(rng: np.random.Generator, pool: str, count: int) -> tuple[str, ...]:
    """Draws different entries of a list that is written with ``|``."""
    return tuple(rng.permutation(pool.split("|"))[:count].tolist())
