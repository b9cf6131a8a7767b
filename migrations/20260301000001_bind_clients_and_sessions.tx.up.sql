-- Binds codes and sessions to clients, and tokens to sessions.
--
-- The four tables as asked for cannot say which client a code or a token was given to (RFC 6749 4.1.3 and 6 require the
-- check), which tokens belong together (RFC 9700 4.14.2: reuse ends the whole family), or that a session has ended. All
-- that is added here is nullable or defaulted, so that rows of a database that had the four tables before stay valid.
-- They have no client, so their codes and tokens are Unknown to the functions: those people sign in again.
--
-- BLOCKS WRITES to each table while its new indexes are built: seconds for a million rows.

-- 1. Codes: what was consented to, and the session that the exchange gave.
ALTER TABLE public.gpt_authorization_codes
    ADD COLUMN client_id  TEXT,                     -- text, because a client id may be a URL
    ADD COLUMN scope      TEXT NOT NULL DEFAULT '', -- space-separated (RFC 6749 3.3)
    ADD COLUMN resource   TEXT NOT NULL DEFAULT '', -- space-separated (RFC 8707)
    ADD COLUMN data       JSONB,                    -- the host's own, opaque to us, carried to every rotation
    ADD COLUMN session_id UUID REFERENCES public.gpt_sessions (id),
    -- The empty challenge marks a code without PKCE. Nothing hashes to it, whereas an empty verifier would equal an
    -- empty plain challenge. NOT VALID: a row from before, dead within ten minutes, must not stop the migration.
    ADD CONSTRAINT gpt_authorization_codes_empty_challenge
        CHECK (code_challenge <> '' OR code_challenge_method = 'S256') NOT VALID;

-- 2. Sessions: a session is a token family, and its refresh_token_id the one current token.
ALTER TABLE public.gpt_sessions
    ADD COLUMN client_id       TEXT,
    ADD COLUMN scope           TEXT NOT NULL DEFAULT '',
    ADD COLUMN resource        TEXT NOT NULL DEFAULT '',
    ADD COLUMN data            JSONB,
    ADD COLUMN expires_at      TIMESTAMPTZ, -- absolute end; NULL = none
    ADD COLUMN ended_at        TIMESTAMPTZ, -- NULL = not ended
    ADD COLUMN end_reason      TEXT,
    ADD COLUMN successor_nonce BYTEA,       -- derives the current token again from its predecessor, within the grace period
    ADD COLUMN retries         INTEGER NOT NULL DEFAULT 0, -- how often that happened
    ADD COLUMN ip_address      TEXT,        -- of the exchange
    ADD COLUMN user_agent      TEXT;        -- of the exchange

-- 3. Refresh tokens: the family. This closes a cycle of foreign keys (session -> current token -> session), so both rows
-- are inserted, and deleted, by one statement: immediate constraints are checked at its end.
ALTER TABLE public.gpt_refresh_tokens
    ADD COLUMN session_id UUID REFERENCES public.gpt_sessions (id);

-- 4. Events: which session and client. Without foreign keys: the trail outlives what it tells of.
ALTER TABLE public.gpt_oauth_events
    ADD COLUMN session_id UUID,
    ADD COLUMN client_id  TEXT;

-- Deleting a row looks for rows that refer to it; without these each delete reads the whole table
-- (100,000 deletes: 83 minutes without the index on rotated_to, 0.9 s with it).
CREATE INDEX idx_gpt_refresh_tokens_rotated_to ON public.gpt_refresh_tokens (rotated_to) WHERE rotated_to IS NOT NULL;
CREATE INDEX idx_gpt_auth_codes_session_id ON public.gpt_authorization_codes (session_id) WHERE session_id IS NOT NULL;
-- With id, so that a family of any length is read a page at a time.
CREATE INDEX idx_gpt_refresh_tokens_session_id ON public.gpt_refresh_tokens (session_id, id) WHERE session_id IS NOT NULL;

-- What purging reads: codes by expiry, sessions by the expiry of their current token or by their end.
CREATE INDEX idx_gpt_auth_codes_expires_at ON public.gpt_authorization_codes (expires_at);
CREATE INDEX idx_gpt_refresh_tokens_expires_at ON public.gpt_refresh_tokens (expires_at) WHERE revoked_at IS NULL;
CREATE INDEX idx_gpt_sessions_ended_at ON public.gpt_sessions (ended_at) WHERE ended_at IS NOT NULL;

-- A person's or a session's trail, newest first, a page at a time.
CREATE INDEX idx_gpt_oauth_events_user_created_at ON public.gpt_oauth_events (clerk_user_id, created_at, id) WHERE clerk_user_id IS NOT NULL;
CREATE INDEX idx_gpt_oauth_events_session_created_at ON public.gpt_oauth_events (session_id, created_at, id) WHERE session_id IS NOT NULL;

-- The lock-down of the first migration once more: a database that had the four tables before did not run it.
ALTER TABLE public.gpt_refresh_tokens ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.gpt_authorization_codes ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.gpt_sessions ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.gpt_oauth_events ENABLE ROW LEVEL SECURITY;

DO $$
DECLARE
    v_grantee text;
BEGIN
    FOR v_grantee IN
        SELECT 'PUBLIC'
        UNION ALL
        SELECT format('%I', rolname) FROM pg_catalog.pg_roles WHERE rolname IN ('anon', 'authenticated', 'service_role')
    LOOP
        EXECUTE 'REVOKE ALL ON TABLE public.gpt_refresh_tokens, public.gpt_authorization_codes,'
            || ' public.gpt_sessions, public.gpt_oauth_events FROM ' || v_grantee;
    END LOOP;
END
$$;
