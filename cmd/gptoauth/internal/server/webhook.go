package server

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"

	svix "github.com/svix/svix-webhooks/go"
)

const (
	webhookPath   = "/webhooks/clerk"
	maxWebhookLen = 256 << 10
	minWebhookKey = 16

	reasonDeleted = "clerk_user_deleted"
)

func newWebhook(secret string) (*svix.Webhook, error) {
	if secret == "" {
		return nil, nil //nolint:nilnil // no secret: no webhook
	}
	hook, err := svix.NewWebhook(secret)
	// Svix makes 24 bytes, and takes none at all for a key: then anyone could sign.
	if key, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_")); err != nil || len(key) < minWebhookKey {
		return nil, errors.New("config: clerk: webhook_secret is not a secret of Svix (whsec_...)")
	}
	return hook, nil
}

// clerkEvent is what we read of a webhook.
type clerkEvent struct {
	Type string `json:"type"`
	Data struct {
		ID string `json:"id"`
	} `json:"data"`
}

// clerkWebhook ends and erases people whom Clerk has deleted. Clerk sends an event again until it is answered with 2xx, and
// sometimes after that; doing it twice is harmless.
func (s *Server) clerkWebhook(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxWebhookLen))
	if err != nil {
		writeText(w, http.StatusRequestEntityTooLarge, "the body is too long or ended early\n")
		return
	}
	if err := s.webhook.Verify(body, r.Header); err != nil {
		writeText(w, http.StatusUnauthorized, "the signature is not Clerk's\n")
		return
	}
	var event clerkEvent
	if err := json.Unmarshal(body, &event); err != nil {
		writeText(w, http.StatusBadRequest, "the body is not JSON\n")
		return
	}
	if event.Type == "user.deleted" && event.Data.ID != "" {
		if err := s.removeUser(r, event.Data.ID); err != nil {
			s.storeFailed(r, err)
			w.Header().Set("Retry-After", "1")
			writeText(w, http.StatusServiceUnavailable, "try again\n")
			return
		}
	}
	w.WriteHeader(http.StatusNoContent)
}

// removeUser ends before it erases, so that the trail says why the sessions ended.
func (s *Server) removeUser(r *http.Request, id string) error {
	ended, err := s.store.EndUser(r.Context(), id, reasonDeleted)
	if err != nil {
		return err
	}
	erased, err := s.store.EraseUser(r.Context(), id)
	if err != nil {
		return err
	}
	s.log.InfoContext(r.Context(), "user deleted", "request_id", note(r).id, "ended", ended.Sessions, "erased", erased.Sessions)
	return nil
}
