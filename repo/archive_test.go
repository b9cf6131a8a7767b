package repo_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gptoauth/gptoauth/repo"
	"github.com/gptoauth/gptoauth/repo/repotest"
)

type archivedEvent struct {
	ID          string          `json:"id"`
	EventType   string          `json:"event_type"`
	ClerkUserID *string         `json:"clerk_user_id"`
	ClientID    *string         `json:"client_id"`
	SessionID   *string         `json:"session_id"`
	Metadata    json.RawMessage `json:"metadata"`
	IPAddress   *string         `json:"ip_address"`
	CreatedAt   time.Time       `json:"created_at"`
}

func readArchive(t *testing.T, path string) []archivedEvent {
	t.Helper()
	file, err := os.Open(path)
	require.NoError(t, err)
	defer file.Close()
	var events []archivedEvent
	for lines := bufio.NewScanner(file); lines.Scan(); {
		var event archivedEvent
		require.NoError(t, json.Unmarshal(lines.Bytes(), &event))
		events = append(events, event)
	}
	return events
}

func TestPurgeArchivesEventsBeforeDeletingThem(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "events.ndjson")
	archive, err := repo.OpenArchive(path)
	require.NoError(t, err)
	defer archive.Close()
	store, janitor := janitorStore(t, repo.JanitorConfig{Archive: archive, BatchSize: 20})
	user := repotest.NewUser(t, store, 100)
	repotest.Age(t, store, 401*day)
	var stored []repo.Event
	for event, err := range store.Events.All(t.Context(), repo.EventListParams{}) {
		require.NoError(t, err)
		stored = append(stored, event)
	}
	slices.Reverse(stored)

	require.Equal(t, 102, purge(t, janitor).Events)
	archived := readArchive(t, path)
	require.Len(t, archived, 102)
	for i, event := range archived {
		require.Equal(t, stored[i].ID.String(), event.ID)
		require.Equal(t, stored[i].Type, event.EventType)
		require.Equal(t, user.ClerkUserID, *event.ClerkUserID)
		require.JSONEq(t, string(stored[i].Metadata), string(event.Metadata))
		require.True(t, stored[i].CreatedAt.Equal(event.CreatedAt))
	}
	require.Nil(t, archived[0].SessionID)
	require.Equal(t, user.SessionID.String(), *archived[1].SessionID)
}

type brokenArchive struct{ failSync bool }

func (a *brokenArchive) Write(p []byte) (int, error) {
	if !a.failSync {
		return len(p) / 2, errors.New("disk full")
	}
	return len(p), nil
}

func (a *brokenArchive) Sync() error { return errors.New("disk gone") }

func TestPurgeDeletesNothingThatIsNotArchived(t *testing.T) {
	t.Parallel()
	for _, archive := range []*brokenArchive{{}, {failSync: true}} {
		store, janitor := janitorStore(t, repo.JanitorConfig{Archive: archive})
		repotest.NewUser(t, store, 3)
		repotest.Age(t, store, 401*day)
		result, err := janitor.Purge(t.Context())
		require.ErrorContains(t, err, "disk")
		require.Zero(t, result.Events)
		require.Equal(t, 5, count(t, store, "gpt_oauth_events", "TRUE"))
	}
}

func TestOpenArchiveCutsATornLine(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "events.ndjson")
	archive, err := repo.OpenArchive(path)
	require.NoError(t, err)
	store, janitor := janitorStore(t, repo.JanitorConfig{Archive: archive})
	repotest.NewUser(t, store, 3)
	repotest.Age(t, store, 401*day)
	require.Equal(t, 5, purge(t, janitor).Events)
	require.NoError(t, archive.Close())

	whole, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, whole[:len(whole)-40], 0o600))
	archive, err = repo.OpenArchive(path)
	require.NoError(t, err)
	require.NoError(t, archive.Close())
	require.Len(t, readArchive(t, path), 4)

	other := filepath.Join(t.TempDir(), "thesis.txt")
	require.NoError(t, os.WriteFile(other, []byte("one line\nand another"), 0o600))
	_, err = repo.OpenArchive(other)
	require.ErrorContains(t, err, "does not end like an archive")
}

var _ repo.Archive = (*os.File)(nil)
