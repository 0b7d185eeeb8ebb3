"""Who may see a dashboard that others can reach: what ``ncore dashboard --public`` asks of its configuration.

The configuration is Streamlit's own, a ``secrets.toml`` with the section ``[auth]`` of an OpenID Connect provider (or
several, as ``[auth.NAME]``), and may have a section ``[ncore]`` with ``allow``, a list of e-mail addresses and
domains, and with ``unverified_emails = true`` for a provider that doesn't say whose addresses it has verified. Nothing
secret leaves it: the app is only told the providers' names and who is allowed.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ncore.errors import InputError, MissingExtraError

__all__ = ["CALLBACK", "SHORTEST_SECRET", "VARIABLE", "Login", "default_file", "read", "required"]

VARIABLE = "NCORE_DASHBOARD_LOGIN"
"""Environment variable that holds a :class:`Login` as JSON; without it the dashboard is for this machine only."""

CALLBACK = "/oauth2callback"
SHORTEST_SECRET = 32
_SHARED = ("redirect_uri", "cookie_secret")
_OF_PROVIDER = ("client_id", "client_secret", "server_metadata_url")
_LOCAL = ("localhost", "127.0.0.1", "::1")
_OURS = ("allow", "unverified_emails")
_ALLOWED = re.compile(r"[^@\s*]*@[^@\s*]+")  # an address, or a domain after an @


@dataclass(frozen=True)
class Login:
    """What the app has to know.

    Attributes:
        host: Name by which browsers reach the dashboard.
        providers: Names of the providers; the empty name is that of ``[auth]`` itself.
        allow: e-mail addresses, and domains that begin with ``@``; empty allows whomever the provider lets in.
        unverified_emails: Whether an address counts that the provider doesn't say it has verified.
    """

    host: str
    providers: tuple[str, ...]
    allow: tuple[str, ...] = ()
    unverified_emails: bool = False

    def to_json(self) -> str:
        """For :data:`VARIABLE`."""
        return json.dumps(asdict(self))

    def allows(self, user: Mapping[str, Any]) -> bool:
        """Whether somebody who has signed in may come in; an address that the provider doesn't vouch for doesn't count.

        Example:
            >>> login = Login("example.org", ("",), ("@example.org", "ana@other.org"))
            >>> login.allows({"email": "Bo@Example.org", "email_verified": True})
            True
            >>> login.allows({"email": "bo@example.org"})
            False
        """
        if not self.allow:
            return True
        email = _folded(str(user.get("email") or ""))
        if not self.vouched(user) or email.count("@") != 1:
            return False
        return any(entry in (email, email[email.index("@") :]) for entry in map(_folded, self.allow))

    def vouched(self, user: Mapping[str, Any]) -> bool:
        """Whether the address of somebody who has signed in counts: anybody could give it, unless it is verified."""
        return self.unverified_emails or user.get("email_verified") is True


def required(variables: Mapping[str, str] = os.environ) -> Login | None:
    """What :data:`VARIABLE` asks for: None where the dashboard is for this machine only.

    Raises:
        InputError: It is set, but to something else; nobody must be let in then.
    """
    text = variables.get(VARIABLE)
    if text is None:
        return None
    try:
        found = json.loads(text)
        return Login(
            str(found["host"]),
            tuple(map(str, found["providers"])),
            tuple(map(str, found["allow"])),
            found["unverified_emails"] is True,
        )
    except (ValueError, KeyError, TypeError):
        raise InputError(
            f"The variable {VARIABLE} is {text!r}, but only `ncore dashboard --public` sets it: unset it, or start so."
        ) from None


def default_file() -> Path:
    """Where the configuration is: in this folder, or, if it isn't there, at home."""
    here, home = (folder / ".streamlit" / "secrets.toml" for folder in (Path.cwd(), Path.home()))
    return home if home.exists() and not here.exists() else here


def read(file: Path) -> Login:
    """Check the configuration of a public dashboard.

    Args:
        file: A ``secrets.toml``.

    Raises:
        InputError: It is missing or not TOML, a key is missing, or a value is unsafe; the message names each of them.
        MissingExtraError: The extra ``public`` is not installed.
    """
    if file.suffix != ".toml":
        raise InputError(f"The secrets are to be read from {file}, but the name of that file must end with .toml.")
    if any(importlib.util.find_spec(name) is None for name in ("authlib", "httpx")):
        raise MissingExtraError("authlib", "public", "A public dashboard")
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError:
        raise InputError(
            f"A public dashboard needs {file} with a section [auth] that has {_listed(_SHARED + _OF_PROVIDER)}, "
            "but that file can't be read: write it, or name another one with `--secrets`."
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{file} must be TOML, but is not: {error}.") from None
    auth, ours = (_section(content, name, file) for name in ("auth", "ncore"))
    named = {name: part for name, part in auth.items() if isinstance(part, Mapping) and name != "client_kwargs"}
    single = not named or any(key in auth for key in _OF_PROVIDER)
    _refuse_missing(auth, named, single, file)
    _refuse_unsafe(auth, [part for part in (auth if single else {}, *named.values()) if part], named, file)
    host = urlsplit(auth["redirect_uri"].replace("{port}", "0")).hostname or ""
    return Login(host, (*([""] if single else []), *named), *_allowed(ours, file))


def _allowed(ours: Mapping[str, Any], file: Path) -> tuple[tuple[str, ...], bool]:
    """Who is allowed, and whether addresses count that are not verified; a slip here would let in everybody."""
    if unknown := [key for key in ours if key not in _OURS]:
        raise InputError(f"[ncore] of {file} has {unknown[0]!r}, but it can have only {_listed(_OURS)}.")
    allow, unverified = ours.get("allow"), ours.get("unverified_emails", False)
    if not isinstance(unverified, bool):
        raise InputError(f"unverified_emails in [ncore] of {file} is {unverified!r}, but it must be true or false.")
    if allow is None:
        return (), unverified
    if not isinstance(allow, list) or not allow or not all(_is_allowed(entry) for entry in allow):
        raise InputError(
            f"allow in [ncore] of {file} is {allow!r}, but it must be a list of e-mail addresses or of domains "
            'such as "@example.org"; leave it out to let in everybody whom the provider lets in.'
        )
    return tuple(allow), unverified


def _is_allowed(entry: object) -> bool:
    return isinstance(entry, str) and _ALLOWED.fullmatch(entry) is not None


def _folded(email: str) -> str:
    """Without case where it is ASCII; elsewhere what folds alike (ß and ss, K and the Kelvin sign) may differ."""
    return email.lower() if email.isascii() else email


def _section(content: Mapping[str, Any], name: str, file: Path) -> Mapping[str, Any]:
    found = content.get(name, {})
    if not isinstance(found, Mapping):
        raise InputError(f"{name} in {file} is {found!r}, but it must be a section [{name}].")
    return found


def _refuse_missing(auth: Mapping[str, Any], named: Mapping[str, Any], single: bool, file: Path) -> None:
    places = {"auth": (auth, _SHARED + (_OF_PROVIDER if single else ()))}
    places |= {f"auth.{name}": (part, _OF_PROVIDER) for name, part in named.items()}
    missing = []
    for place, (part, keys) in places.items():
        lacking = [key for key in keys if not (isinstance(part.get(key), str) and part[key].strip())]
        if lacking:
            missing.append(f"{_listed(lacking)} in [{place}]")
    if missing:
        raise InputError(
            f"A public dashboard lets nobody in without a login, but {file} lacks {' and '.join(missing)}: "
            "add what your OpenID Connect provider says there."
        )


def _refuse_unsafe(
    auth: Mapping[str, Any], providers: list[Mapping[str, Any]], named: Mapping[str, Any], file: Path
) -> None:
    if len(auth["cookie_secret"]) < SHORTEST_SECRET:
        raise InputError(
            f"cookie_secret in {file} has {len(auth['cookie_secret'])} characters, but it signs every login and needs "
            f"at least {SHORTEST_SECRET} random ones: make it with "
            "`python -c 'import secrets; print(secrets.token_hex(32))'`."
        )
    addresses = {"redirect_uri": [auth["redirect_uri"]]}
    addresses["server_metadata_url"] = [part["server_metadata_url"] for part in providers]
    for key, values in addresses.items():
        for value in values:
            if not _is_safe(value):
                raise InputError(
                    f"{key} in {file} is {value!r}, but it must begin with https:// (http:// only on localhost): "
                    "over plain HTTP anybody on the way could take over a login."
                )
    if not urlsplit(auth["redirect_uri"].replace("{port}", "0")).path.endswith(CALLBACK):
        raise InputError(
            f"redirect_uri in {file} is {auth['redirect_uri']!r}, but it must be the address of the dashboard followed "
            f"by {CALLBACK}."
        )
    if wrong := [name for name in named if "_" in name]:
        raise InputError(f"[auth.{wrong[0]}] in {file} has an underscore, which the name of a provider can't have.")


def _is_safe(address: str) -> bool:
    try:
        parts = urlsplit(address.replace("{port}", "0"))
    except ValueError:
        return False
    return bool(parts.hostname) and (parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOCAL))


def _listed(keys: tuple[str, ...] | list[str]) -> str:
    *first, last = keys
    return f"{', '.join(first)} and {last}" if first else last
