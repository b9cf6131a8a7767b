-- Functions that rotate and revoke refresh tokens (RFC 6749 6, RFC 9700 4.14, RFC 7009). What all functions have in
-- common stands at the top of create_session_functions.

-- Rotates a refresh token. Outcomes: rotated, retried, reused, expired, ended, mismatch, unknown. The caller draws the
-- nonce that derives the new token from the presented one, so the same call again, after a lost answer, finds its own
-- child, and a client that asks again is given the very same successor.
CREATE FUNCTION public.gpt_rotate_refresh_token_v1(
    p_token_hash           text,   -- SHA-256 of the presented token, lower-case hex
    p_client_id            text,
    p_successor_id         uuid,
    p_successor_hash       text,   -- SHA-256 of the successor, lower-case hex
    p_successor_nonce      bytea,  -- NULL with a grace period of 0
    p_grace_us             bigint, -- 0 = the predecessor is never answered again
    p_refresh_ttl_us       bigint,
    p_ip_address           text,   -- NULL = not known
    p_event_id             uuid,
    OUT outcome            text,
    OUT session_id         uuid,
    OUT refresh_token_id   uuid,
    OUT clerk_user_id      text,
    OUT scope              text,
    OUT resource           text,
    OUT data               jsonb,
    OUT refresh_expires_at timestamptz,
    OUT session_expires_at timestamptz, -- NULL = no limit
    OUT successor_nonce    bytea        -- with retried only
)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '3s'
AS $$
#variable_conflict use_column
DECLARE
    v_now     timestamptz;
    v_token   record;
    v_session record;
    v_current record;
BEGIN
    IF current_setting('transaction_isolation') IS DISTINCT FROM 'read committed' THEN
        RAISE EXCEPTION 'gpt_rotate_refresh_token_v1 needs READ COMMITTED' USING ERRCODE = '25001';
    END IF;
    IF p_token_hash IS NULL OR p_client_id IS NULL OR p_successor_id IS NULL OR p_successor_hash IS NULL
        OR p_grace_us IS NULL OR p_refresh_ttl_us IS NULL OR p_event_id IS NULL
        OR (p_successor_nonce IS NULL AND p_grace_us > 0) THEN
        RAISE EXCEPTION 'gpt_rotate_refresh_token_v1: a required parameter is NULL' USING ERRCODE = '22004';
    END IF;
    IF p_refresh_ttl_us <= 0 OR p_refresh_ttl_us > 315360000000000 -- 3650 days
        OR p_grace_us < 0 OR p_grace_us > 600000000 THEN
        RAISE EXCEPTION 'gpt_rotate_refresh_token_v1: the TTL or the grace period is out of range' USING ERRCODE = '22023';
    END IF;

    -- Which session, to lock it; and only then what the token is. A statement that locks and reads at once would read
    -- from before the lock was granted (61% of ended families kept a usable token that way).
    SELECT t.session_id INTO v_token FROM public.gpt_refresh_tokens AS t WHERE t.token_hash = p_token_hash;
    SELECT s.id, s.clerk_user_id, s.client_id, s.scope, s.resource, s.data, s.refresh_token_id, s.expires_at, s.ended_at,
           s.successor_nonce
      INTO v_session
      FROM public.gpt_sessions AS s
     WHERE s.id = v_token.session_id
       FOR NO KEY UPDATE;
    SELECT t.id, t.expires_at, t.rotated_to, t.revoked_at
      INTO v_token
      FROM public.gpt_refresh_tokens AS t
     WHERE t.token_hash = p_token_hash AND t.session_id = v_session.id;
    IF NOT FOUND OR v_session.client_id IS NULL THEN
        outcome := 'unknown';
        RETURN;
    END IF;
    v_now := clock_timestamp();
    session_id := v_session.id;
    clerk_user_id := v_session.clerk_user_id;

    IF v_session.client_id IS DISTINCT FROM p_client_id THEN
        outcome := 'mismatch';
        INSERT INTO public.gpt_oauth_events (id, event_type, clerk_user_id, client_id, session_id, metadata, ip_address, created_at)
        VALUES (p_event_id, 'token_mismatch', v_session.clerk_user_id, v_session.client_id, v_session.id,
                jsonb_build_object('rule', 'client_id', 'refresh_token_id', v_token.id), p_ip_address, v_now)
            ON CONFLICT (id) DO NOTHING;
        RETURN;
    END IF;

    IF v_session.ended_at IS NOT NULL OR v_session.expires_at <= v_now THEN
        outcome := 'ended';
        RETURN;
    END IF;

    scope := v_session.scope;
    resource := v_session.resource;
    data := v_session.data;
    session_expires_at := v_session.expires_at;

    IF v_token.id IS NOT DISTINCT FROM v_session.refresh_token_id THEN
        IF v_token.expires_at <= v_now THEN
            outcome := 'expired';
            RETURN;
        END IF;

        outcome := 'rotated';
        refresh_token_id := p_successor_id;
        refresh_expires_at := least(v_now + p_refresh_ttl_us * interval '1 us', v_session.expires_at);
        WITH successor AS (
            INSERT INTO public.gpt_refresh_tokens (id, token_hash, clerk_user_id, session_id, expires_at, created_at)
            VALUES (p_successor_id, p_successor_hash, v_session.clerk_user_id, v_session.id, refresh_expires_at, v_now)
        ), presented AS (
            UPDATE public.gpt_refresh_tokens AS t
               SET rotated_to = p_successor_id, revoked_at = v_now
             WHERE t.id = v_token.id
        ), event AS (
            INSERT INTO public.gpt_oauth_events (id, event_type, clerk_user_id, client_id, session_id, ip_address, created_at)
            VALUES (p_event_id, 'token_refresh', v_session.clerk_user_id, v_session.client_id, v_session.id, p_ip_address, v_now)
        )
        UPDATE public.gpt_sessions AS s
           SET refresh_token_id = p_successor_id, successor_nonce = p_successor_nonce, last_active = v_now
         WHERE s.id = v_session.id;
        RETURN;
    END IF;

    -- This call's own child: its answer was lost.
    SELECT t.id, t.expires_at
      INTO v_current
      FROM public.gpt_refresh_tokens AS t
     WHERE t.token_hash = p_successor_hash AND t.session_id = v_session.id;
    IF FOUND THEN
        outcome := 'rotated';
        refresh_token_id := v_current.id;
        refresh_expires_at := v_current.expires_at;
        RETURN;
    END IF;

    SELECT t.id, t.expires_at, t.created_at
      INTO v_current
      FROM public.gpt_refresh_tokens AS t
     WHERE t.id = v_session.refresh_token_id;
    IF v_token.rotated_to IS NOT DISTINCT FROM v_current.id
        AND v_session.successor_nonce IS NOT NULL
        AND v_current.created_at + p_grace_us * interval '1 us' > v_now THEN
        IF v_current.expires_at <= v_now THEN
            outcome := 'expired';
            RETURN;
        END IF;

        outcome := 'retried';
        refresh_token_id := v_current.id;
        refresh_expires_at := v_current.expires_at;
        successor_nonce := v_session.successor_nonce;
        INSERT INTO public.gpt_oauth_events (id, event_type, clerk_user_id, client_id, session_id, metadata, ip_address, created_at)
        VALUES (p_event_id, 'token_retry', v_session.clerk_user_id, v_session.client_id, v_session.id,
                jsonb_build_object('refresh_token_id', v_token.id), p_ip_address, v_now)
            ON CONFLICT (id) DO NOTHING;
        IF FOUND THEN
            UPDATE public.gpt_sessions AS s SET retries = s.retries + 1, last_active = v_now WHERE s.id = v_session.id;
        END IF;
        RETURN;
    END IF;

    -- Expired or not: otherwise a thief who rotates away would hide behind the expiry of what was stolen.
    outcome := 'reused';
    PERFORM public.gpt_close_session_v1(v_session.id, 'token_reuse');
    INSERT INTO public.gpt_oauth_events (id, event_type, clerk_user_id, client_id, session_id, metadata, ip_address, created_at)
    VALUES (p_event_id, 'token_reuse', v_session.clerk_user_id, v_session.client_id, v_session.id,
            jsonb_build_object('refresh_token_id', v_token.id, 'rotated_at', v_token.revoked_at), p_ip_address, v_now);
END
$$;

-- Revokes the family of a token, whichever generation is presented, expired ones too. Outcomes: revoked, ended (it had
-- ended before), mismatch, unknown.
CREATE FUNCTION public.gpt_revoke_refresh_token_v1(
    p_token_hash      text, -- SHA-256 of the presented token, lower-case hex
    p_client_id       text,
    p_ip_address      text, -- NULL = not known
    p_event_id        uuid,
    OUT outcome       text,
    OUT session_id    uuid,
    OUT clerk_user_id text
)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '3s'
AS $$
#variable_conflict use_column
DECLARE
    v_token   record;
    v_session record;
BEGIN
    IF current_setting('transaction_isolation') IS DISTINCT FROM 'read committed' THEN
        RAISE EXCEPTION 'gpt_revoke_refresh_token_v1 needs READ COMMITTED' USING ERRCODE = '25001';
    END IF;
    IF p_token_hash IS NULL OR p_client_id IS NULL OR p_event_id IS NULL THEN
        RAISE EXCEPTION 'gpt_revoke_refresh_token_v1: a required parameter is NULL' USING ERRCODE = '22004';
    END IF;

    SELECT t.id, t.session_id INTO v_token FROM public.gpt_refresh_tokens AS t WHERE t.token_hash = p_token_hash;
    SELECT s.id, s.clerk_user_id, s.client_id, s.ended_at
      INTO v_session
      FROM public.gpt_sessions AS s
     WHERE s.id = v_token.session_id
       FOR NO KEY UPDATE;
    IF NOT FOUND OR v_session.client_id IS NULL THEN
        outcome := 'unknown';
        RETURN;
    END IF;
    session_id := v_session.id;
    clerk_user_id := v_session.clerk_user_id;

    IF v_session.client_id IS DISTINCT FROM p_client_id THEN
        outcome := 'mismatch';
        INSERT INTO public.gpt_oauth_events (id, event_type, clerk_user_id, client_id, session_id, metadata, ip_address, created_at)
        VALUES (p_event_id, 'token_mismatch', v_session.clerk_user_id, v_session.client_id, v_session.id,
                jsonb_build_object('rule', 'client_id', 'refresh_token_id', v_token.id), p_ip_address, clock_timestamp())
            ON CONFLICT (id) DO NOTHING;
        RETURN;
    END IF;
    IF v_session.ended_at IS NOT NULL THEN
        outcome := 'ended';
        RETURN;
    END IF;

    outcome := 'revoked';
    PERFORM public.gpt_close_session_v1(v_session.id, 'token_revoke');
    INSERT INTO public.gpt_oauth_events (id, event_type, clerk_user_id, client_id, session_id, metadata, ip_address, created_at)
    VALUES (p_event_id, 'token_revoke', v_session.clerk_user_id, v_session.client_id, v_session.id,
            jsonb_build_object('refresh_token_id', v_token.id), p_ip_address, clock_timestamp());
END
$$;

-- A function may be executed by PUBLIC, and on Supabase by the API's roles, unless this is said.
DO $$
DECLARE
    v_function pg_catalog.regprocedure;
    v_grantee  text;
BEGIN
    FOR v_function IN
        SELECT p.oid
          FROM pg_catalog.pg_proc AS p
         WHERE p.pronamespace = 'public'::pg_catalog.regnamespace
           AND p.proname IN ('gpt_rotate_refresh_token_v1', 'gpt_revoke_refresh_token_v1')
    LOOP
        FOR v_grantee IN
            SELECT 'PUBLIC'
            UNION ALL
            SELECT format('%I', rolname) FROM pg_catalog.pg_roles WHERE rolname IN ('anon', 'authenticated', 'service_role')
        LOOP
            EXECUTE format('REVOKE ALL ON FUNCTION %s FROM %s', v_function, v_grantee);
        END LOOP;
    END LOOP;
END
$$;
