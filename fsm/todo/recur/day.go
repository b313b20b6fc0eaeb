package recur

import "time"

// day is a day with its places in month, year and week; n counts from 1970-01-01.
type day struct {
	n                 int
	year, month       int
	monthDay, yearDay int
	monthLen, yearLen int
	weekday           time.Weekday
}

func dayOf(n int) day {
	t := time.Unix(int64(n)*secondsADay, 0).UTC()
	d := day{n: n, year: t.Year(), month: int(t.Month()), monthDay: t.Day(), yearDay: t.YearDay(), weekday: t.Weekday()}
	d.measure()
	return d
}

// number is the day that a month begins with; a month beyond December is one of a later year.
func number(year, month int) int {
	return int(time.Date(year, time.Month(month), 1, 0, 0, 0, 0, time.UTC).Unix() / secondsADay)
}

func (d *day) measure() {
	d.yearLen = yearLen(d.year)
	switch d.month {
	case 2:
		d.monthLen = d.yearLen - 337
	case 4, 6, 9, 11:
		d.monthLen = 30
	default:
		d.monthLen = 31
	}
}

// advance goes on to the next day: a year of it costs a tenth of 365 times dayOf.
func (d *day) advance() {
	d.n++
	d.weekday = (d.weekday + 1) % 7
	d.monthDay++
	d.yearDay++
	if d.monthDay <= d.monthLen {
		return
	}
	d.monthDay = 1
	d.month++
	if d.month > 12 {
		d.month, d.yearDay = 1, 1
		d.year++
	}
	d.measure()
}

// week is the number of the week that the day is in, and how many the year of that week has. It belongs to the year
// that has four of its days or more, as in ISO 8601, though it may begin on any day.
func (d *day) week(starts time.Weekday) (number, of int) {
	fourth := d.yearDay - int(d.weekday-starts+7)%7 + 3 // of the year of d, or beyond its ends
	length := d.yearLen
	switch {
	case fourth < 1:
		length = yearLen(d.year - 1)
		fourth += length
	case fourth > length:
		fourth -= length
		length = yearLen(d.year + 1)
	}
	number = (fourth-1)/7 + 1
	return number, number + (length-fourth)/7
}

func yearLen(year int) int {
	if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
		return 366
	}
	return 365
}
