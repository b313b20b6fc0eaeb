"""Writes instants.txt: what Python's zoneinfo makes of times on the wall around changes of the clock.

    python3 instants.py > instants.txt

With fold=0 it has the rule of RFC 5545: the first of two, and in a gap the offset from before it.
All are of the past, so that newer zone data change none.
"""
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

ZONES = """Europe/Berlin Europe/London Europe/Dublin Europe/Moscow America/New_York America/St_Johns America/Sao_Paulo
America/Santiago America/Havana America/Caracas Asia/Kathmandu Asia/Pyongyang Asia/Tehran Asia/Beirut Asia/Amman Asia/Gaza
Africa/Cairo Africa/Casablanca Africa/Monrovia Australia/Sydney Australia/Lord_Howe Pacific/Apia Pacific/Chatham
Pacific/Kwajalein Antarctica/Troll UTC""".split()

MINUTE = timedelta(minutes=1)


def changes(zone, first=1970, last=2024):
    """The instants at which the offset of a zone changes."""
    at, end = datetime(first, 1, 1, tzinfo=timezone.utc), datetime(last, 12, 31, tzinfo=timezone.utc)
    offset = lambda t: t.astimezone(zone).utcoffset()
    while at < end:
        to = at + timedelta(days=7)
        if offset(at) != offset(to):
            low, high = at, to
            while high - low > timedelta(seconds=1):
                mid = (low + (high - low) / 2).replace(microsecond=0)
                low, high = (mid, high) if offset(mid) == offset(at) else (low, mid)
            yield high, offset(at), offset(high)
        at = to


for name in ZONES:
    zone = ZoneInfo(name)
    found = list(changes(zone))
    walls = {datetime(2020, 1, 15, 9), datetime(2020, 7, 15, 9)}
    big = max(found, key=lambda c: abs(c[2] - c[1]), default=None)
    for at, before, after in found[-4:] + ([big] if big else []):
        a, b = sorted([(at + before).replace(tzinfo=None), (at + after).replace(tzinfo=None)])
        walls |= {a - MINUTE, a, a + (b - a) / 2, b - MINUTE, b}
    for wall in sorted(w.replace(second=0, microsecond=0) for w in walls):
        instant = wall.replace(tzinfo=zone, fold=0).astimezone(timezone.utc)
        print(name, wall.strftime("%Y-%m-%dT%H:%M"), instant.strftime("%Y-%m-%dT%H:%M:%SZ"))
