package main

import (
	"errors"
	"strconv"
	"strings"
	"time"
)

const hoursPerDay = 24

// parseDuration is time.ParseDuration for a positive duration, which may be a number of days.
func parseDuration(text string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16)
		if err != nil || n == 0 {
			return 0, errors.New("not a number of days")
		}
		return time.Duration(n) * hoursPerDay * time.Hour, nil
	}
	d, err := time.ParseDuration(text)
	if err == nil && d <= 0 {
		err = errors.New("not positive")
	}
	return d, err
}
