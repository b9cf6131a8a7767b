-- The data layer of a Custom GPT's OAuth flow.
--
-- ChatGPT sends a person to the authorization server, which signs them in (with Clerk), writes an authorization code
-- and sends them back; ChatGPT exchanges the code for tokens and from then on refreshes them. Four tables hold what
-- has to be remembered in between:
--
--   gpt_refresh_tokens       one row a generation of a refresh token, chained by rotated_to
--   gpt_authorization_codes  one row a sign-in, good for one exchange within minutes
--   gpt_sessions             one row a grant: which person, which current refresh token, last seen when
--   gpt_oauth_events         the audit trail
--
-- In this order, because sessions refer to refresh tokens.

-- 1. Refresh tokens -------------------------------------------------------------------------------------------------

CREATE TABLE public.gpt_refresh_tokens (
    id            UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    token_hash    TEXT NOT NULL,                -- SHA-256 of the opaque token; the raw token is never stored
    clerk_user_id TEXT NOT NULL,                -- owner
    expires_at    TIMESTAMPTZ NOT NULL,         -- TTL
    revoked_at    TIMESTAMPTZ DEFAULT NULL,     -- NULL = active
    rotated_to    UUID DEFAULT NULL REFERENCES public.gpt_refresh_tokens (id), -- the successor, once rotated
    created_at    TIMESTAMPTZ NOT NULL DEFAULT now(),

    -- Primary lookup. UNIQUE on the column plus an index of this name would keep the same B-tree twice, so the
    -- constraint carries the index's name: one index, both wishes met.
    CONSTRAINT idx_gpt_refresh_tokens_hash UNIQUE (token_hash)
);

-- Tokens of a user.
CREATE INDEX idx_gpt_refresh_tokens_clerk_user_id ON public.gpt_refresh_tokens (clerk_user_id);

-- Active tokens. The predicate cannot say "AND expires_at > now()": an index predicate is evaluated when a row is
-- written, not when it is read, so PostgreSQL wants it IMMUTABLE and refuses now(). Expiry is left to the query.
CREATE INDEX idx_gpt_refresh_tokens_active ON public.gpt_refresh_tokens (token_hash) WHERE revoked_at IS NULL;

-- 2. Authorization codes --------------------------------------------------------------------------------------------

CREATE TABLE public.gpt_authorization_codes (
    id                    UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    code                  TEXT NOT NULL,        -- the authorization code; gptoauth stores its SHA-256 here
    code_challenge        TEXT NOT NULL,        -- PKCE (RFC 7636)
    code_challenge_method TEXT NOT NULL DEFAULT 'S256' CHECK (code_challenge_method IN ('S256', 'plain')),
    clerk_user_id         TEXT NOT NULL,        -- who authorized
    redirect_uri          TEXT NOT NULL,        -- as in the authorization request
    expires_at            TIMESTAMPTZ NOT NULL, -- 10 minutes by default, set by the application
    used_at               TIMESTAMPTZ DEFAULT NULL, -- NULL = not exchanged yet
    created_at            TIMESTAMPTZ NOT NULL DEFAULT now(),

    -- Primary lookup; one index for the constraint and the asked-for name, as above.
    CONSTRAINT idx_gpt_auth_codes_code UNIQUE (code)
);

-- Codes of a user.
CREATE INDEX idx_gpt_auth_codes_clerk_user_id ON public.gpt_authorization_codes (clerk_user_id);

-- Unused codes. Without now(), for the reason given at idx_gpt_refresh_tokens_active.
CREATE INDEX idx_gpt_auth_codes_active ON public.gpt_authorization_codes (code) WHERE used_at IS NULL;

-- 3. Sessions -------------------------------------------------------------------------------------------------------

CREATE TABLE public.gpt_sessions (
    id               UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    clerk_user_id    TEXT NOT NULL,
    refresh_token_id UUID REFERENCES public.gpt_refresh_tokens (id), -- current token; NULL during the code phase
    last_active      TIMESTAMPTZ NOT NULL DEFAULT now(),             -- updated on each GPT action
    created_at       TIMESTAMPTZ NOT NULL DEFAULT now()
);

CREATE INDEX idx_gpt_sessions_clerk_user_id ON public.gpt_sessions (clerk_user_id);
CREATE INDEX idx_gpt_sessions_refresh_token_id ON public.gpt_sessions (refresh_token_id);

-- 4. Audit events ---------------------------------------------------------------------------------------------------

CREATE TABLE public.gpt_oauth_events (
    id            UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    event_type    TEXT NOT NULL,       -- 'authorize', 'token_exchange', 'token_refresh', 'token_revoke', 'job_search', ...
    clerk_user_id TEXT,                -- NULL for events before authentication
    metadata      JSONB DEFAULT '{}',
    ip_address    TEXT,                -- optional, for security auditing
    created_at    TIMESTAMPTZ NOT NULL DEFAULT now()
);

CREATE INDEX idx_gpt_oauth_events_type ON public.gpt_oauth_events (event_type);
CREATE INDEX idx_gpt_oauth_events_clerk_user_id ON public.gpt_oauth_events (clerk_user_id);
CREATE INDEX idx_gpt_oauth_events_created_at ON public.gpt_oauth_events (created_at DESC);
CREATE INDEX idx_gpt_oauth_events_user_type ON public.gpt_oauth_events (clerk_user_id, event_type);

-- Lock-down ---------------------------------------------------------------------------------------------------------
-- A table in public is readable through Supabase's API unless this is said, and it is said in the transaction that
-- creates the tables, so that no moment is left in between. No policy: with row level security on and no policy only
-- the owner reads, and the owner is not subject to it (never FORCE).

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
