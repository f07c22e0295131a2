# Copyright (c) 2026, miniecom.maintenance contributors
# GNU General Public License v3.0 or later (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Until when a certificate is valid, in a file or as a server shows it, and when that is soon.

Only the two dates are read, of the encoding that RFC 5280 gives (section 4.1): no library is needed for that.
"""

from __future__ import annotations

import base64
import binascii
import re
import socket
import ssl
from datetime import datetime, timezone
from typing import Any, Dict, List, Optional, Sequence, Tuple

from .._core.clock import format_utc
from .._core.errors import errno_name
from .._core.late_dataclass import dataclass
from .._core.units import format_duration

SERVED, FILE = "served", "file"
TIMEOUT = 5.0
_LARGEST = 1 << 20
_PEM = re.compile(
    rb"-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----(.+?)-----END (?:TRUSTED |X509 )?CERTIFICATE-----", re.S
)
_SEQUENCE, _UTC_TIME, _GENERALIZED_TIME, _VERSION = 0x30, 0x17, 0x18, 0xA0


@dataclass(frozen=True)
class Certificate:
    """One certificate that visitors see.

    Attributes:
        place: the file, or name and port.
        source: served or file.
        begins, ends: in UTC; None with a problem.
        problem: why it could not be read.
    """

    place: str
    source: str
    begins: Optional[datetime] = None
    ends: Optional[datetime] = None
    problem: str = ""

    def as_dict(self, now: datetime) -> Dict[str, Any]:
        return {
            "place": self.place,
            "source": self.source,
            "ends": format_utc(self.ends) if self.ends else "",
            "days_left": int((self.ends - now).total_seconds() // 86400) if self.ends else None,
            "problem": self.problem,
        }

    def warning(self, now: datetime, within: float) -> str:
        """What somebody has to do something about, "" while it has time. Pure.

        Args:
            within: seconds before the end from which it is told; a quarter of the certificate's own time where that is
                less, since one that is made for six days is renewed late.
        """
        if self.problem:
            return "the certificate of %s cannot be read: %s" % (self.place, self.problem)
        if self.begins is None or self.ends is None:
            return ""
        left = (self.ends - now).total_seconds()
        if left <= 0:
            return "the certificate of %s has ended on %s: browsers refuse it" % (self.place, format_utc(self.ends))
        if (self.begins - now).total_seconds() > 0:
            return "the certificate of %s is not valid before %s" % (self.place, format_utc(self.begins))
        if left <= min(within, (self.ends - self.begins).total_seconds() / 4):
            return "the certificate of %s ends in %s (%s), and was not renewed" % (
                self.place,
                format_duration(left),
                format_utc(self.ends),
            )
        return ""


# -- reading ------------------------------------------------------------------------------------------------------------


def _element(data: bytes, position: int) -> Tuple[int, int, int]:
    """Tag, begin and end of the content of the element of DER at a position."""
    tag, length = data[position], data[position + 1]
    begin = position + 2
    if length & 0x80:
        count = length & 0x7F
        length = int.from_bytes(data[begin : begin + count], "big")
        begin += count
    if not 0 < begin + length <= len(data):
        raise ValueError("it is cut short")
    return tag, begin, begin + length


def _time(data: bytes, position: int) -> Tuple[datetime, int]:
    tag, begin, end = _element(data, position)
    text = data[begin:end].decode("ascii")
    if tag == _UTC_TIME:
        # Two digits stand for 1950 to 2049.
        text = ("19" if int(text[:2]) >= 50 else "20") + text
    elif tag != _GENERALIZED_TIME:
        raise ValueError("its dates are none")
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=timezone.utc), end


def read_validity(der: bytes) -> Tuple[datetime, datetime]:
    """From when until when a certificate is valid. Pure.

    Args:
        der: the certificate, in DER.

    Raises:
        ValueError: it is none.
    """
    try:
        tag, position, _end = _element(der, 0)
        inner, position, _end = _element(der, position)
        if (tag, inner) != (_SEQUENCE, _SEQUENCE):
            raise ValueError("it is no certificate")
        skipped = 0
        # The version where it has one, then serial number, algorithm and issuer.
        while skipped < 3:
            tag, _begin, position = _element(der, position)
            skipped += tag != _VERSION
        tag, position, _end = _element(der, position)
        begins, position = _time(der, position)
        return begins, _time(der, position)[0]
    except (IndexError, UnicodeDecodeError) as error:
        raise ValueError("it is no certificate") from error


def certificates_in(data: bytes) -> List[bytes]:
    """The certificates of a file in PEM or DER, as DER. Pure."""
    found = []
    for match in _PEM.finditer(data):
        try:
            found.append(base64.b64decode(re.sub(rb"\s", b"", match.group(1)), validate=True))
        except binascii.Error:
            found.append(b"")
    return found if found or b"-----BEGIN" in data else [data]


def of_ders(place: str, source: str, ders: Sequence[bytes]) -> Certificate:
    """The one of a chain that ends first: without it the others are worth nothing. Pure."""
    try:
        times = [read_validity(der) for der in ders]
    except ValueError as error:
        return Certificate(place, source, problem=str(error))
    if not times:
        return Certificate(place, source, problem="there is none in it")
    begins, ends = min(times, key=lambda time: time[1])
    return Certificate(place, source, begins, ends)


def in_file(path: str) -> Certificate:
    """The certificate of a file, with those that its server sends along."""
    try:
        with open(path, "rb") as handle:
            data = handle.read(_LARGEST)
    except OSError as error:
        return Certificate(path, FILE, problem=str(errno_name(error)))
    return of_ders(path, FILE, certificates_in(data))


def as_served(address: str, port: int, name: str = "") -> Optional[Certificate]:
    """The certificate that a server shows; None where nothing listens.

    Args:
        name: of the site, which it is asked for by; "" for none.
    """
    place = "%s:%d" % (name or address, port)
    context = ssl.create_default_context()
    # One that has ended has to be seen as well, and whose it is has nothing to do with its end.
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with socket.create_connection((address, port), TIMEOUT) as plain, context.wrap_socket(
            plain, server_hostname=name or None
        ) as secure:
            der = secure.getpeercert(True)
    except ConnectionRefusedError:
        return None
    except socket.timeout:
        return Certificate(place, SERVED, problem="no answer in time")
    except (OSError, ValueError) as error:
        return Certificate(place, SERVED, problem="no TLS: %s" % (getattr(error, "reason", "") or error))
    return of_ders(place, SERVED, [der] if der else [])
