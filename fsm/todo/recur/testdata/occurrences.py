"""Writes occurrences.txt: a rule, the date it begins at, and what python-dateutil has as the next dates; "end" where it has no more.

    python3 occurrences.py > occurrences.txt        (python-dateutil 2.9)

Where dateutil is known to leave RFC 5545 the rules are asked for in another way, or not:
- days with and without a number in one BYDAY (it wants both at once; the RFC either): as two rules together;
- BYWEEKNO without BYDAY (it takes all seven days; the RFC the one of the start): not;
- BYSETPOS in weeks (it counts in what is left of the first week; we in the whole): begun at the first day of a week;
- BYWEEKNO of -51 to -53 (it forgets them in a week that belongs to the next year) and 52 and 53 (it takes the last week of
  2077 for the 53rd, which by ISO 8601 is the 52nd): not at random;
- the 53rd of a weekday from the end of a year that has 52 (IndexError): left out.
"""
import random
from datetime import datetime, timedelta

from dateutil.rrule import rrulestr, rruleset

CYCLE = timedelta(days=146097)  # what is further away is none
DAYS = ["MO", "TU", "WE", "TH", "FR", "SA", "SU"]

CHOSEN = """
FREQ=YEARLY 2024-02-29
FREQ=YEARLY 2096-02-29
FREQ=YEARLY;INTERVAL=3 2024-02-29
FREQ=YEARLY;INTERVAL=100 2000-02-29
FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=-1 2024-02-29
FREQ=YEARLY;BYYEARDAY=366 2023-05-05
FREQ=YEARLY;BYYEARDAY=-366 2023-05-05
FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29;BYDAY=MO 2024-02-29
FREQ=MONTHLY 2024-01-31
FREQ=MONTHLY 2023-12-29
FREQ=MONTHLY;BYMONTHDAY=-1 2024-01-31
FREQ=MONTHLY;BYMONTHDAY=31 2024-01-31
FREQ=MONTHLY;BYMONTHDAY=28,29,30;BYSETPOS=-1 2024-01-30
FREQ=MONTHLY;INTERVAL=18;BYMONTHDAY=10,11,12,13,14,15 1997-09-10
FREQ=MONTHLY;BYDAY=1FR 1997-09-05
FREQ=MONTHLY;INTERVAL=2;BYDAY=1SU,-1SU 1997-09-07
FREQ=MONTHLY;BYDAY=-2MO 1997-09-22
FREQ=MONTHLY;BYDAY=5MO 2024-01-29
FREQ=MONTHLY;BYDAY=FR;BYMONTHDAY=13 1997-09-02
FREQ=MONTHLY;BYDAY=TU,WE,TH;BYSETPOS=3 1997-09-04
FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-2 1997-09-29
FREQ=MONTHLY;BYDAY=SA;BYMONTHDAY=7,8,9,10,11,12,13 1997-09-13
FREQ=YEARLY;INTERVAL=4;BYMONTH=11;BYDAY=TU;BYMONTHDAY=2,3,4,5,6,7,8 1996-11-05
FREQ=YEARLY;BYDAY=20MO 1997-05-19
FREQ=YEARLY;BYDAY=-1MO,1TU 1997-05-19
FREQ=YEARLY;BYDAY=53TH 1997-05-19
FREQ=YEARLY;BYWEEKNO=20;BYDAY=MO 1997-05-12
FREQ=YEARLY;BYWEEKNO=53;BYDAY=FR 1997-05-12
FREQ=YEARLY;BYWEEKNO=1,-1;BYDAY=MO,SU 1997-05-12
FREQ=YEARLY;BYWEEKNO=1;BYDAY=MO;WKST=SU 1997-05-12
FREQ=YEARLY;BYMONTH=3;BYDAY=TH 1997-03-13
FREQ=YEARLY;BYMONTH=1,2;BYDAY=1MO,-1FR 1997-03-13
FREQ=YEARLY;INTERVAL=3;BYYEARDAY=1,100,200 1997-01-01
FREQ=YEARLY;INTERVAL=2;BYMONTH=1,2,3 1997-03-10
FREQ=YEARLY;BYMONTHDAY=13 1997-03-10
FREQ=WEEKLY;INTERVAL=2;BYDAY=TU,SU;WKST=MO 1997-08-05
FREQ=WEEKLY;INTERVAL=2;BYDAY=TU,SU;WKST=SU 1997-08-05
FREQ=WEEKLY;INTERVAL=2;BYDAY=MO 2026-12-02
FREQ=WEEKLY;BYMONTH=1 2026-12-30
FREQ=DAILY;INTERVAL=10 1997-09-02
FREQ=DAILY;BYMONTH=1 1998-01-30
FREQ=DAILY;BYMONTHDAY=-1 1998-01-30
FREQ=DAILY;INTERVAL=3;BYDAY=MO 1998-01-30
FREQ=DAILY;COUNT=3 2024-02-27
FREQ=WEEKLY;COUNT=2 2024-02-27
FREQ=DAILY;COUNT=1 2024-02-27
FREQ=DAILY;UNTIL=20240229 2024-02-27
FREQ=MONTHLY;UNTIL=20240530 2024-01-31
FREQ=YEARLY;BYMONTH=2 2026-01-30
FREQ=YEARLY;INTERVAL=4 9990-05-05
FREQ=DAILY 9999-12-29
FREQ=YEARLY;INTERVAL=2;BYMONTH=2;BYMONTHDAY=29 2023-01-01
FREQ=MONTHLY;BYDAY=MO,1FR 2024-01-01
""".strip().split("\n")


def together(rule, start):
    """The dates of a rule, days with and without a number taken apart."""
    parts = dict(p.split("=") for p in rule.split(";"))
    days = parts.get("BYDAY", "").split(",")
    plain = [d for d in days if len(d) == 2]
    if not plain or len(plain) == len(days):
        return rrulestr(rule, dtstart=start)
    both = rruleset()
    for some in plain, [d for d in days if len(d) > 2]:
        both.rrule(rrulestr(";".join(f"{k}={','.join(some) if k == 'BYDAY' else v}" for k, v in parts.items()), dtstart=start))
    return both


def line(rule, date, n=6):
    start = datetime.strptime(date, "%Y-%m-%d")
    found, ended = [], True
    for t in together(rule, start):
        if t - start > CYCLE or len(found) == n:
            ended = not found
            break
        if t > start:
            found.append(t.strftime("%Y-%m-%d"))
    print(rule, date, *found, *["end"] * ended)


def some(values, most):
    return ",".join(str(v) for v in random.sample(values, random.randint(1, most)))


def ordinals(most):
    return [f"{n}{d}" for n in range(-most, most + 1) if n for d in DAYS]


def made():
    freq = random.choice(["DAILY", "WEEKLY", "MONTHLY", "YEARLY"])
    parts, by, wkst = [f"FREQ={freq}"], [], None
    if random.random() < 0.6:
        parts.append(f"INTERVAL={random.choice([2, 2, 3, 4, 5, 7, 11])}")
    if random.random() < 0.3:
        by.append("BYMONTH=" + some(range(1, 13), 4))
    if freq == "YEARLY" and random.random() < 0.2:
        by += ["BYWEEKNO=" + some([n for n in range(-50, 52) if n], 4), "BYDAY=" + some(DAYS, 3)]
    else:
        if freq == "YEARLY" and random.random() < 0.2:
            by.append("BYYEARDAY=" + some([n for n in range(-366, 367) if n], 12))
        elif freq != "WEEKLY" and random.random() < 0.4:
            by.append("BYMONTHDAY=" + some([n for n in range(-31, 32) if n], 8))
        if random.random() < 0.4:
            choice = DAYS
            if freq == "MONTHLY":
                choice = random.choice([DAYS, ordinals(5)])
            if freq == "YEARLY":
                choice = random.choice([DAYS, ordinals(5), ordinals(53)])
            by.append("BYDAY=" + some(choice, 4))
    if random.random() < 0.3:
        wkst = random.choice(DAYS)
    day = datetime.fromordinal(random.randint(720000, 760000))
    if by and freq != "DAILY" and random.random() < 0.3:
        by.append("BYSETPOS=" + some([-3, -2, -1, 1, 2, 3], 2))
        while freq == "WEEKLY" and DAYS[day.weekday()] != (wkst or "MO"):
            day += timedelta(days=1)
    random.shuffle(by)
    return ";".join(parts + by + ([f"WKST={wkst}"] if wkst else [])), day.strftime("%Y-%m-%d")


random.seed(5545)
for chosen in CHOSEN:
    line(*chosen.split())
for _ in range(600):
    try:
        line(*made())
    except IndexError:
        pass
