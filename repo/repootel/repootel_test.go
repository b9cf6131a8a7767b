package repootel_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/pgdialect"
	"github.com/uptrace/bun/driver/pgdriver"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/sync/errgroup"

	"github.com/gptoauth/gptoauth/repo"
	"github.com/gptoauth/gptoauth/repo/repootel"
	"github.com/gptoauth/gptoauth/repo/repotest"
)

func TestSpansNestBelowTheCallersAndAboveTheStatements(t *testing.T) {
	t.Parallel()
	o := newTelemetry(t)
	statements := &statementSpans{}
	store, err := repo.New(repotest.DB(t).WithQueryHook(statements), repo.Config{Observer: o})
	require.NoError(t, err)
	ctx, request := o.tracers.Tracer("test").Start(t.Context(), "request")
	defer request.End()
	_, err = store.Sessions.Active(ctx, uuid.New())
	require.NoError(t, err)
	active := o.one(t)
	require.Equal(t, "Sessions.Active", active.Name())
	require.Equal(t, trace.SpanKindClient, active.SpanKind())
	require.Equal(t, request.SpanContext().SpanID(), active.Parent().SpanID())
	require.Equal(t, []trace.SpanID{active.SpanContext().SpanID()}, statements.inside)
	require.Equal(t, "db.operation.name=Sessions.Active gptoauth.attempts=1", own(t, active.Attributes()))
	require.Equal(t, sdktrace.Status{}, active.Status())

	require.NoError(t, store.InTx(ctx, func(ctx context.Context, store *repo.Store, _ bun.Tx) error {
		_, err := store.Sessions.Touch(ctx, uuid.New())
		return err
	}))
	calls := o.take()
	require.Equal(t, "Sessions.Touch", calls[0].Name())
	require.Equal(t, "Store.InTx", calls[1].Name())
	require.Equal(t, trace.SpanKindInternal, calls[1].SpanKind())
	require.Equal(t, calls[1].SpanContext().SpanID(), calls[0].Parent().SpanID())
	require.Equal(t, request.SpanContext().SpanID(), calls[1].Parent().SpanID())
}

// statementSpans is a query hook that notes inside which span a statement is.
type statementSpans struct{ inside []trace.SpanID }

func (s *statementSpans) BeforeQuery(ctx context.Context, _ *bun.QueryEvent) context.Context {
	s.inside = append(s.inside, trace.SpanContextFromContext(ctx).SpanID())
	return ctx
}

func (*statementSpans) AfterQuery(context.Context, *bun.QueryEvent) {}

// TestOutcomesAreNoFailures: the store has done its work, and the span says what it found.
func TestOutcomesAreNoFailures(t *testing.T) {
	t.Parallel()
	o := newTelemetry(t)
	store := newStore(t, o)
	session := repotest.NewSession(t, store, repo.IssueParams{}, 2)
	o.take()
	_, err := store.RefreshTokens.Rotate(t.Context(), session.Request(0))
	require.NoError(t, err)
	reused := o.one(t)
	require.Equal(t, "db.operation.name=RefreshTokens.Rotate gptoauth.attempts=1 gptoauth.outcome=reused", own(t, reused.Attributes()))
	require.Equal(t, sdktrace.Status{}, reused.Status())

	_, err = store.AuthCodes.Exchange(t.Context(), session.Code.Request())
	require.NoError(t, err)
	require.Contains(t, own(t, o.one(t).Attributes()), "gptoauth.outcome=replayed")
	_, err = store.RefreshTokens.Get(t.Context(), uuid.New())
	require.ErrorIs(t, err, repo.ErrNotFound)
	require.Equal(t, sdktrace.Status{}, o.one(t).Status())
	require.Equal(t, map[string]int64{"gptoauth.event.type=token_reuse": 1, "gptoauth.event.type=code_replay": 1}, o.values(t, "gptoauth.security.events"))
}

// TestFailuresAreTheirClass, and never their text.
func TestFailuresAreTheirClass(t *testing.T) {
	t.Parallel()
	o := newTelemetry(t)
	for _, c := range []struct {
		err         error
		attributes  string
		description string
	}{
		{&repo.InputError{Field: "EndParams.Reason", Rule: "is required"}, "error.type=*repo.InputError", "repo: EndParams.Reason is required"},
		{serverError("40P01", repo.NotDone), "db.response.status_code=40P01 error.type=40P01", "not done"},
		{fmt.Errorf("secret: %w", serverError("57014", repo.NotDone)), "db.response.status_code=57014 error.type=57014", "not done"},
		{&repo.DatabaseError{Effect: repo.Unsure, Err: context.DeadlineExceeded}, "error.type=timeout", "unsure whether done"},
		{&repo.DatabaseError{Effect: repo.Unsure, Err: fmt.Errorf("secret: %w", context.Canceled)}, "error.type=canceled", "unsure whether done"},
		{&repo.DatabaseError{Effect: repo.Unsure, Err: io.EOF}, "error.type=connection", "unsure whether done"},
		{&repo.DatabaseError{Effect: repo.Refused, Err: hostError{}}, "error.type=github.com/gptoauth/gptoauth/repo/repootel_test.hostError", "refused"},
		{fmt.Errorf("secret: %w", hostError{}), "error.type=github.com/gptoauth/gptoauth/repo/repootel_test.hostError", ""},
		{errors.New("secret"), "error.type=*errors.errorString", ""},
		{fmt.Errorf("secret: %w", stateError("25P02")), "db.response.status_code=25P02 error.type=25P02", ""},
		{fmt.Errorf("secret: %w", context.Canceled), "error.type=canceled", ""},
		{context.DeadlineExceeded, "error.type=timeout", ""},
		{repo.ErrNotFound, "error.type=*errors.errorString", ""}, // of the function: what else it did was rolled back
	} {
		_, end := o.Begin(t.Context(), "Store.InTx")
		end(repo.Observation{Err: c.err, Attempts: 1})
		span := o.one(t)
		require.Equal(t, strings.Fields("db.operation.name=Store.InTx "+c.attributes+" gptoauth.attempts=1"), sorted(own(t, span.Attributes())), c.err)
		require.Equal(t, sdktrace.Status{Code: codes.Error, Description: c.description}, span.Status())
		require.Empty(t, span.Events())
	}
}

// TestFailuresOfInTxAreTheirClass, whether BEGIN failed or the function returned what the driver told it.
func TestFailuresOfInTxAreTheirClass(t *testing.T) {
	t.Parallel()
	o := newTelemetry(t)
	store := newStore(t, o)
	nowhere := sql.OpenDB(pgdriver.NewConnector(func(c *pgdriver.Config) {
		c.Dialer = func(context.Context, string, string) (net.Conn, error) {
			return nil, &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
		}
	}))
	defer nowhere.Close()
	unreachable, err := repo.New(bun.NewDB(nowhere, pgdialect.New()), repo.Config{Observer: o})
	require.NoError(t, err)
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	late, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	divide := func(ctx context.Context, tx bun.Tx) error { return second(tx.ExecContext(ctx, "SELECT 1/0")) }
	for _, c := range []struct {
		ctx         context.Context //nolint:containedctx // a case of a table
		store       *repo.Store
		fn          func(ctx context.Context, tx bun.Tx) error
		class       string
		description string
	}{
		{cancelled, store, nil, "canceled", "not done"},
		{late, store, nil, "timeout", "not done"},
		{t.Context(), unreachable, nil, "connection", "not done"},
		{t.Context(), store, divide, "22012", ""},
		{t.Context(), store, func(ctx context.Context, tx bun.Tx) error { _ = divide(ctx, tx); return nil }, "25P02", ""},
		{t.Context(), store, func(context.Context, bun.Tx) error { return fmt.Errorf("secret: %w", repo.ErrNotFound) }, "*errors.errorString", ""},
	} {
		require.Error(t, c.store.InTx(c.ctx, func(ctx context.Context, _ *repo.Store, tx bun.Tx) error { return c.fn(ctx, tx) }))
		span := o.one(t)
		require.Contains(t, own(t, span.Attributes()), "error.type="+c.class)
		require.Equal(t, sdktrace.Status{Code: codes.Error, Description: c.description}, span.Status())
	}
}

func sorted(fields string) []string {
	list := strings.Fields(fields)
	slices.Sort(list)
	return list
}

type hostError struct{}

func (hostError) Error() string { return "secret" }

// stateError is what a driver returns that is not pgdriver.
type stateError string

func (stateError) Error() string      { return "secret" }
func (s stateError) SQLState() string { return string(s) }

func serverError(state string, effect repo.Effect) error {
	return &repo.DatabaseError{Op: "RefreshTokens.Rotate", Effect: effect, Err: stateError(state)}
}

func TestMetricsAreThoseOfTheConventions(t *testing.T) {
	t.Parallel()
	o := newTelemetry(t)
	require.Equal(t, map[string]int64{"gptoauth.event.type=token_reuse": 0, "gptoauth.event.type=code_replay": 0},
		o.values(t, "gptoauth.security.events"), "to Prometheus, what is not there has not grown")
	_, end := o.Begin(t.Context(), "RefreshTokens.Rotate")
	end(repo.Observation{Outcome: repo.Rotated, Attempts: 3})
	_, end = o.Begin(t.Context(), "RefreshTokens.Rotate")
	end(repo.Observation{Err: serverError("53300", repo.NotDone), Attempts: 2})
	_, end = o.Begin(t.Context(), "Janitor.Batch")
	end(repo.Observation{Attempts: 1, Step: "ended sessions", Purged: repo.PurgeCounts{Sessions: 2, Tokens: 7}})
	require.Equal(t, "db.operation.name=Janitor.Batch gptoauth.attempts=1 gptoauth.purge.rows=9 gptoauth.purge.step=ended sessions",
		own(t, o.take()[2].Attributes()))

	duration := o.collect(t)["db.client.operation.duration"]
	require.Equal(t, "s", duration.Unit)
	histogram := duration.Data.(metricdata.Histogram[float64])
	counts := make(map[string]uint64)
	for _, point := range histogram.DataPoints {
		counts[own(t, point.Attributes.ToSlice())] = point.Count
		require.Equal(t, []float64{.001, .005, .01, .05, .1, .5, 1, 5, 10}, point.Bounds)
		require.NotEmpty(t, point.Exemplars, "which lead to the trace")
	}
	require.Equal(t, map[string]uint64{
		"db.operation.name=RefreshTokens.Rotate gptoauth.outcome=rotated":                       1,
		"db.operation.name=RefreshTokens.Rotate db.response.status_code=53300 error.type=53300": 1,
		"db.operation.name=Janitor.Batch":                                                       1,
	}, counts)
	require.Equal(t, map[string]int64{"db.operation.name=RefreshTokens.Rotate": 3}, o.values(t, "gptoauth.operation.repetitions"))
	require.Equal(t, map[string]int64{
		"gptoauth.purge.kind=codes": 0, "gptoauth.purge.kind=sessions": 2, "gptoauth.purge.kind=tokens": 7,
		"gptoauth.purge.kind=nonces": 0, "gptoauth.purge.kind=events": 0,
	}, o.values(t, "gptoauth.purge.rows"))
}

func TestPoolAndRecorderAreReported(t *testing.T) {
	t.Parallel()
	o := newTelemetry(t)
	store := newStore(t, o)
	pool, err := o.ObservePool(store.DB().(*bun.DB).DB, "localhost:5432/auth")
	require.NoError(t, err)
	recorder, err := store.Events.Recorder(repo.RecorderConfig{Queue: 3, DropWhenFull: true})
	require.NoError(t, err)
	events, err := o.ObserveRecorder(recorder, "jobs")
	require.NoError(t, err)

	require.NoError(t, store.DB().RunInTx(t.Context(), nil, func(ctx context.Context, tx bun.Tx) error {
		if _, err := tx.ExecContext(ctx, "LOCK TABLE public.gpt_oauth_events IN ACCESS EXCLUSIVE MODE"); err != nil {
			return err
		}
		for i := range 5 {
			if err := recorder.Record(ctx, repo.AppendParams{Type: "job_search"}); err != nil && (i < 3 || !errors.Is(err, repo.ErrQueueFull)) {
				return err
			}
		}
		require.Equal(t, map[string]int64{"gptoauth.recorder.name=jobs": 3}, o.values(t, "gptoauth.recorder.queue"))
		require.GreaterOrEqual(t, o.values(t, "db.client.connection.count")["db.client.connection.pool.name=localhost:5432/auth db.client.connection.state=used"], int64(1))
		return nil
	}))
	require.NoError(t, recorder.Close(t.Context()))
	require.Equal(t, map[string]int64{
		"gptoauth.recorder.name=jobs gptoauth.recorder.result=written": 3,
		"gptoauth.recorder.name=jobs gptoauth.recorder.result=refused": 0,
		"gptoauth.recorder.name=jobs gptoauth.recorder.result=dropped": 2,
	}, o.values(t, "gptoauth.recorder.events"))
	require.Equal(t, map[string]int64{"db.client.connection.pool.name=localhost:5432/auth": 4}, o.values(t, "db.client.connection.max"))
	batch := o.one(t)
	require.Equal(t, "Recorder", batch.Name())
	require.Contains(t, own(t, batch.Attributes()), "gptoauth.events=3")

	require.NoError(t, pool.Unregister())
	require.NoError(t, events.Unregister())
	require.NotContains(t, o.collect(t), "db.client.connection.count")
	require.NotContains(t, o.collect(t), "gptoauth.recorder.queue")
}

// TestTelemetryHasNoSecret: whatever is issued, spent, stolen, refused and broken, with everything that is told of it.
func TestTelemetryHasNoSecret(t *testing.T) {
	t.Parallel()
	o := newTelemetry(t)
	store := newStore(t, o)
	const marker = "m4rk3r"
	params := repo.IssueParams{
		ClerkUserID: "user_" + marker, ClientID: "client_" + marker, RedirectURI: "https://" + marker + ".example.com/cb",
		Scope: "scope_" + marker, Resource: "https://" + marker + ".example.com", Data: json.RawMessage(`{"data":"` + marker + `"}`),
	}
	session := repotest.NewSession(t, store, params, 3)
	for _, err := range []error{
		second(store.RefreshTokens.Lookup(t.Context(), session.Tokens[3])),
		second(store.RefreshTokens.Rotate(t.Context(), session.Request(0))),
		second(store.AuthCodes.Exchange(t.Context(), session.Code.Request())),
		store.Events.Append(t.Context(), repo.AppendParams{Type: "job_search", ClerkUserID: "user_" + marker, Metadata: json.RawMessage(`{"q":"` + marker + `"}`)}),
		second(store.Events.List(t.Context(), repo.EventListParams{ClerkUserID: "user_" + marker})),
		second(store.Sessions.EndAll(t.Context(), repo.EndAllParams{ClerkUserID: "user_" + marker, Reason: marker})),
		second(store.EraseUser(t.Context(), "user_"+marker)),
	} {
		require.NoError(t, err)
	}
	_, err := store.AuthCodes.Issue(t.Context(), repo.IssueParams{ClerkUserID: "user_" + marker, ClientID: marker + "\x00"})
	require.ErrorAs(t, err, new(*repo.InputError))
	_, err = store.DB().ExecContext(t.Context(), "ALTER TABLE public.gpt_oauth_events ADD CONSTRAINT "+marker+" CHECK (clerk_user_id <> 'user_of_no_one')")
	require.NoError(t, err)
	params.ClerkUserID, params.CodeChallenge, params.CodeChallengeMethod = "user_of_no_one", session.Code.Issued.CodeChallenge, repo.S256
	_, err = store.AuthCodes.Issue(t.Context(), params)
	require.ErrorContains(t, err, marker, "the text of an error may be anything")

	var told strings.Builder
	for _, span := range o.take() {
		fmt.Fprintln(&told, span.Name(), span.Status(), span.Attributes(), span.Events(), span.Links())
	}
	for _, m := range o.collect(t) {
		fmt.Fprintf(&told, "%+v\n", m)
	}
	text := told.String()
	require.Contains(t, text, "RefreshTokens.Rotate")
	require.Contains(t, text, "reused")
	require.Contains(t, text, "23514")
	secrets := append([]string{marker, string(session.Code.Code), session.Code.Verifier, session.Code.Issued.CodeChallenge, session.SessionID.String()}, session.Tokens...)
	for _, secret := range secrets {
		require.NotContains(t, text, secret)
	}
	require.NotRegexp(t, `gpt[rc]_|[0-9a-f]{64}|[0-9a-f]{8}-[0-9a-f]{4}-7`, text, "a code or token, a digest, an id")
}

func second[T any](_ T, err error) error { return err }

// TestManyAtOnce is for the race detector, and counts.
func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	o := newTelemetry(t)
	store := newStore(t, o)
	session := repotest.NewSession(t, store, repo.IssueParams{}, 0)
	o.take()
	var group errgroup.Group
	for range 8 {
		group.Go(func() error {
			for range 25 {
				if _, err := store.Sessions.Active(t.Context(), session.SessionID); err != nil {
					return err
				}
			}
			return nil
		})
	}
	for range 5 {
		o.collect(t)
	}
	require.NoError(t, group.Wait())
	require.Len(t, o.take(), 200)
	for _, point := range o.collect(t)["db.client.operation.duration"].Data.(metricdata.Histogram[float64]).DataPoints {
		if own(t, point.Attributes.ToSlice()) == "db.operation.name=Sessions.Active" {
			require.EqualValues(t, 200, point.Count)
			return
		}
	}
	require.Fail(t, "nothing was measured")
}

// TestWithoutProvidersNothingIsTold, and the span of the caller stays the current one.
func TestWithoutProvidersNothingIsTold(t *testing.T) {
	t.Parallel()
	observer, err := repootel.New(repootel.Config{})
	require.NoError(t, err)
	store := repotest.Store(t, repo.Config{Observer: observer})
	repotest.NewSession(t, store, repo.IssueParams{}, 1)
	_, err = observer.ObservePool(repotest.DB(t).DB, "pool")
	require.NoError(t, err)

	o := newTelemetry(t)
	ctx, span := o.tracers.Tracer("test").Start(t.Context(), "request")
	defer span.End()
	inside, end := observer.Begin(ctx, "Sessions.Active")
	require.Equal(t, span, trace.SpanFromContext(inside))
	end(repo.Observation{})
	require.True(t, span.IsRecording())
}

func BenchmarkObserver(b *testing.B) {
	for name, config := range map[string]repootel.Config{
		"Nothing":    {},
		"Metrics":    {MeterProvider: metric.NewMeterProvider(metric.WithReader(metric.NewManualReader()))},
		"NotSampled": {TracerProvider: sdktrace.NewTracerProvider(sdktrace.WithSampler(sdktrace.NeverSample()))},
		"Spans":      {TracerProvider: sdktrace.NewTracerProvider()},
		"Both": {
			TracerProvider: sdktrace.NewTracerProvider(),
			MeterProvider:  metric.NewMeterProvider(metric.WithReader(metric.NewManualReader())),
		},
	} {
		b.Run(name, func(b *testing.B) {
			observer, err := repootel.New(config)
			require.NoError(b, err)
			b.ReportAllocs()
			for b.Loop() {
				_, end := observer.Begin(b.Context(), "RefreshTokens.Rotate")
				end(repo.Observation{Outcome: repo.Rotated, Attempts: 1})
			}
		})
	}
}
