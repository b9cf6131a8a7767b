-- What the limit runs on: the four tables as they were asked for and nothing else, so no client binding, lineage, outcome or
-- session that ends, and none of the indexes that these need. Ids and text as gptoauth has them.
CREATE SCHEMA bare;

CREATE TABLE bare.gpt_refresh_tokens (
    id            UUID PRIMARY KEY,
    token_hash    TEXT NOT NULL CONSTRAINT bare_hash UNIQUE,
    clerk_user_id TEXT NOT NULL,
    expires_at    TIMESTAMPTZ NOT NULL,
    revoked_at    TIMESTAMPTZ,
    rotated_to    UUID REFERENCES bare.gpt_refresh_tokens (id),
    created_at    TIMESTAMPTZ NOT NULL DEFAULT now()
);
CREATE INDEX ON bare.gpt_refresh_tokens (clerk_user_id);
CREATE INDEX ON bare.gpt_refresh_tokens (token_hash) WHERE revoked_at IS NULL;

CREATE TABLE bare.gpt_authorization_codes (
    id                    UUID PRIMARY KEY,
    code                  TEXT NOT NULL CONSTRAINT bare_code UNIQUE,
    code_challenge        TEXT NOT NULL,
    code_challenge_method TEXT NOT NULL DEFAULT 'S256' CHECK (code_challenge_method IN ('S256', 'plain')),
    clerk_user_id         TEXT NOT NULL,
    redirect_uri          TEXT NOT NULL,
    expires_at            TIMESTAMPTZ NOT NULL,
    used_at               TIMESTAMPTZ,
    created_at            TIMESTAMPTZ NOT NULL DEFAULT now()
);
CREATE INDEX ON bare.gpt_authorization_codes (clerk_user_id);
CREATE INDEX ON bare.gpt_authorization_codes (code) WHERE used_at IS NULL;

CREATE TABLE bare.gpt_sessions (
    id               UUID PRIMARY KEY,
    clerk_user_id    TEXT NOT NULL,
    refresh_token_id UUID REFERENCES bare.gpt_refresh_tokens (id),
    last_active      TIMESTAMPTZ NOT NULL DEFAULT now(),
    created_at       TIMESTAMPTZ NOT NULL DEFAULT now()
);
CREATE INDEX ON bare.gpt_sessions (clerk_user_id);
CREATE INDEX ON bare.gpt_sessions (refresh_token_id);

CREATE TABLE bare.gpt_oauth_events (
    id            UUID PRIMARY KEY,
    event_type    TEXT NOT NULL,
    clerk_user_id TEXT,
    metadata      JSONB DEFAULT '{}',
    ip_address    TEXT,
    created_at    TIMESTAMPTZ NOT NULL DEFAULT now()
);
CREATE INDEX ON bare.gpt_oauth_events (event_type);
CREATE INDEX ON bare.gpt_oauth_events (clerk_user_id);
CREATE INDEX ON bare.gpt_oauth_events (created_at DESC);
CREATE INDEX ON bare.gpt_oauth_events (clerk_user_id, event_type);

-- The rows that the other side has.
INSERT INTO bare.gpt_refresh_tokens (id, token_hash, clerk_user_id, expires_at, revoked_at, rotated_to, created_at)
SELECT id, token_hash, clerk_user_id, expires_at, revoked_at, rotated_to, created_at FROM public.gpt_refresh_tokens;
INSERT INTO bare.gpt_authorization_codes (id, code, code_challenge, clerk_user_id, redirect_uri, expires_at, used_at, created_at)
SELECT id, code, code_challenge, clerk_user_id, redirect_uri, expires_at, used_at, created_at FROM public.gpt_authorization_codes;
INSERT INTO bare.gpt_sessions (id, clerk_user_id, refresh_token_id, last_active, created_at)
SELECT id, clerk_user_id, refresh_token_id, last_active, created_at FROM public.gpt_sessions;
INSERT INTO bare.gpt_oauth_events (id, event_type, clerk_user_id, metadata, ip_address, created_at)
SELECT id, event_type, clerk_user_id, metadata, ip_address, created_at FROM public.gpt_oauth_events;
