"""Passwords: what is good enough, how they are kept; hides the hash and its cost.

Argon2id with the parameters of RFC 9106 for little memory. Hashing is slow and takes 64 MiB on
purpose, so only a few run at once, however many people try to sign in.
"""

import base64
import re
import secrets
import threading
import unicodedata

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

LEAST, MOST = 10, 128
RULES = (
    f"密码至少{LEAST}位，要有大写字母、小写字母、数字、符号中的三种，不含用户名，也不是常见的密码"
)

_AT_ONCE = 2
# Without characters that look alike on paper: 0 O o, 1 l I.
_LETTERS = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"
_CLASSES = (str.islower, str.isupper, str.isdigit, lambda each: not each.isalnum())
# What people put into passwords everywhere; without it too little must not remain.
_WORDS = re.compile(
    r"pass(?:word|wd|code)?|adm(?:in(?:istrator)?)?|root|user|guest|test|demo|default|system|"
    r"manager|login|welcome|hello|letmein|changeme|secret|master|super|dragon|monkey|sunshine|"
    r"princess|football|iloveyou|abc(?:d(?:efg?)?)?|aini|woaini|wodemima|mima|nihao|zhongguo|"
    r"china|beijing|zhengce|zhengfu|zhengwu|renmin|gongwuyuan|rexian|policy|hotline|government|"
    r"qwe(?:r(?:t(?:y(?:uiop)?)?)?)?|asd(?:f(?:gh(?:jkl)?)?)?|zxc(?:v(?:bnm?)?)?|"
    r"[1!]qaz|[2@]wsx|[3#]edc|[4$]rfv|qaz|wsx|edc|(.)\1{2,}"
)
_NUMBERS = re.compile(
    r"(?:19|20)\d\d|0?123\d*|(?:234|345|456|567|678|789|987|876|765|654|543|432|321)\d*|"
    r"5201?314|520|1314|666|888"
)
_REMAINING = 5
_LOOK_ALIKE = str.maketrans("@4$5301!7", "aasseoiit")


class Passwords:
    """Keeps passwords and judges new ones.

    Args:
        hasher: another cost than the usual one.
    """

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher()
        self._slots = threading.BoundedSemaphore(_AT_ONCE)
        # Compared with when there is no account, so that it takes as long as if there were one.
        self._nobody = _unmatched(self._hasher)

    def hash(self, password: str) -> str:
        """What is stored for a password."""
        with self._slots:
            return self._hasher.hash(_normal(password))

    def matches(self, stored: str | None, password: str) -> bool:
        """Whether a password is the one stored; the same work for None, which nothing matches."""
        fits = len(password) <= MOST
        try:
            with self._slots:
                self._hasher.verify(stored or self._nobody, _normal(password if fits else ""))
        except (VerificationError, InvalidHashError):
            return False
        return fits and stored is not None

    def outdated(self, stored: str) -> bool:
        """Whether a hash was made at another cost than today's."""
        return self._hasher.check_needs_rehash(stored)


def weakness(password: str, *, name: str) -> str:
    """Why a new password will not do, in Chinese; empty when it will."""
    text = _normal(password)
    folded = text.casefold()
    if len(text) < LEAST:
        return f"密码太短，至少要{LEAST}位"
    if len(text) > MOST:
        return f"密码太长，最多{MOST}位"
    if not text.isprintable():
        return "密码里有看不见的字符，请重新输入"
    if sum(any(belongs(each) for each in text) for belongs in _CLASSES) < 3:
        return "大写字母、小写字母、数字、符号，至少要有三种"
    if name and (name.casefold() in folded or name.casefold()[::-1] in folded):
        return "密码里不能有用户名"
    if _remaining(folded) < _REMAINING:
        return "这个密码太常见，容易被猜到，请换一个"
    return ""


def one_time(*, name: str) -> str:
    """A password that can be read out and typed: three groups of five."""
    while True:
        groups = ("".join(secrets.choice(_LETTERS) for _ in range(5)) for _ in range(3))
        password = "-".join(groups)
        if not weakness(password, name=name):
            return password


def _unmatched(hasher: PasswordHasher) -> str:
    """A hash that looks like one of `hasher`'s, of a password that nobody has."""
    cost = f"m={hasher.memory_cost},t={hasher.time_cost},p={hasher.parallelism}"
    salt, digest = (
        base64.b64encode(secrets.token_bytes(length)).decode().rstrip("=")
        for length in (hasher.salt_len, hasher.hash_len)
    )
    return f"$argon2id$v=19${cost}${salt}${digest}"


def _remaining(folded: str) -> int:
    """How many letters and digits are left without what is common."""
    rest = _NUMBERS.sub("", folded)
    read = (_WORDS.sub("", rest), _WORDS.sub("", rest.translate(_LOOK_ALIKE)))
    return min(sum(each.isalnum() for each in text) for text in read)


def _normal(password: str) -> str:
    # An input method may type full-width letters; they mean the same.
    return unicodedata.normalize("NFKC", password)
