package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/gptoauth/gptoauth/repo"
)

const (
	barWidth    = 24
	barInterval = 100 * time.Millisecond
)

// progressBar shows on stderr, if that is a terminal, how far a purge has come and when it may be through.
type progressBar struct {
	app     *app
	total   int // 0: not shown
	rows    int
	began   time.Time
	painted time.Time
}

func (b *progressBar) begin(total int) {
	b.total = total
	b.began = time.Now()
}

// done is for JanitorConfig.OnBatch.
func (b *progressBar) done(batch repo.Batch) {
	b.rows += batch.Total()
	if b.total == 0 || time.Since(b.painted) < barInterval {
		return
	}
	b.painted = time.Now()
	fmt.Fprintf(b.app.stderr, "\r\x1b[K%s", b.line(batch.Step, time.Since(b.began))) //nolint:errcheck // nowhere left to say so
}

// line never shows more than all: rows come to be due while it works.
func (b *progressBar) line(step string, since time.Duration) string {
	share := min(float64(b.rows)/float64(max(b.total, 1)), 1)
	full := int(share * barWidth)
	bar := strings.Repeat("#", full) + strings.Repeat("-", barWidth-full)
	line := fmt.Sprintf("[%s] %3.0f %%  %d of %d  %s", bar, share*100, b.rows, max(b.total, b.rows), step)
	if share > 0 && share < 1 && since > time.Second {
		line += "  " + elapsed(time.Duration(float64(since)*(1-share)/share)) + " left"
	}
	return line
}

func (b *progressBar) end() {
	if !b.painted.IsZero() {
		fmt.Fprint(b.app.stderr, "\r\x1b[K") //nolint:errcheck // nowhere left to say so
	}
}
