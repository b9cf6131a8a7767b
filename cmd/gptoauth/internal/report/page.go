package report

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"time"
)

const generator = `<meta name="generator" content="gptoauth report">`

// Beginning is how every page begins, by which it is known to be one.
const Beginning = "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n" + generator + "\n"

//go:embed page.html.tmpl
var pageText string

//go:embed page.css
var css string

var pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{
	"thousands": thousands,
	"compact":   compact,
	"bytes":     bytesText,
	"minute":    minute,
	"commands":  commands,
	"machine":   func(t time.Time) string { return t.Format(time.RFC3339) },
}).Parse(pageText))

// page is what the template draws.
type page struct {
	Report

	Head      template.HTML
	CSS       template.CSS
	Title     string
	Period    string
	Verdict   verdict
	Tiles     []tile
	Sessions  []any // charts
	Tokens    []any
	Alarming  []any
	Storage   storageView
	Retention retentionView
	Each      string // what a column is
	Version   string
	Took      string
}

// Write draws a report as a page.
func Write(w io.Writer, r Report) error {
	p := page{
		Report:    r,
		Head:      head(),
		CSS:       template.CSS(css), //nolint:gosec // our own
		Title:     r.title(),
		Period:    r.period(),
		Verdict:   r.verdict(),
		Tiles:     r.tiles(),
		Sessions:  []any{r.signInsChart(), r.livingChart(), r.endedChart()},
		Tokens:    []any{r.rotationsChart(), r.retriesChart()},
		Alarming:  r.alarming(),
		Storage:   r.storageView(),
		Retention: r.retentionView(),
		Each:      r.window.each(),
		Version:   r.version,
		Took:      fmt.Sprintf("%.1f s", r.took.Seconds()),
	}
	var text bytes.Buffer // so that a mistake in the template writes nothing
	if err := pageTemplate.Execute(&text, p); err != nil {
		return err
	}
	_, err := w.Write(text.Bytes())
	return err
}

// head forbids a browser to take anything from anywhere but the style that stands in the page.
func head() template.HTML {
	sum := sha256.Sum256([]byte(css))
	policy := fmt.Sprintf("default-src 'none'; style-src 'sha256-%s'; base-uri 'none'; form-action 'none'", base64.StdEncoding.EncodeToString(sum[:]))
	return template.HTML(generator + "\n<meta http-equiv=\"Content-Security-Policy\" content=\"" + policy + "\">") //nolint:gosec // our own
}

func (r Report) title() string {
	if r.Days == 1 {
		return "The last 24 hours"
	}
	return fmt.Sprintf("The last %d days", r.Days)
}

func (r Report) period() string {
	if r.window.bucket < day {
		return minute(r.Since) + " to " + minute(r.Until)
	}
	return r.Since.Format("2 January 2006") + " to " + r.Until.Format("2 January 2006")
}

// alarming are the charts of alarms, which are few if there are none.
func (r Report) alarming() []any {
	charts := []any{r.alarmsChart(), r.mismatchesChart()}
	if r.Alarms == nil || r.Alarms.total() > 0 {
		charts = append(charts, r.alarmClientsChart())
	}
	return charts
}

// gap is why a figure is not there; empty if it is.
func (r Report) gap(figure string) string {
	for _, g := range r.Gaps {
		if g.Figure == figure {
			return g.Reason
		}
	}
	return ""
}
