-- Functions that issue authorization codes and exchange them (RFC 6749 4.1, RFC 7636). What all functions have in
-- common stands at the top of create_session_functions.

-- Issues a code. The same call again, after a lost answer, changes nothing and gives the same.
CREATE FUNCTION public.gpt_issue_code_v1(
    p_id             uuid,
    p_code           text, -- SHA-256 of the code, lower-case hex
    p_code_challenge text, -- BASE64URL(SHA256(code_verifier)); '' for a code without PKCE
    p_clerk_user_id  text,
    p_client_id      text,
    p_redirect_uri   text,
    p_scope          text,
    p_resource       text,
    p_data           jsonb, -- NULL = none
    p_ttl_us         bigint,
    p_ip_address     text,  -- NULL = not known
    p_event_id       uuid,
    OUT expires_at   timestamptz
)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '3s'
AS $$
#variable_conflict use_column
DECLARE
    v_now timestamptz := clock_timestamp();
BEGIN
    IF current_setting('transaction_isolation') IS DISTINCT FROM 'read committed' THEN
        RAISE EXCEPTION 'gpt_issue_code_v1 needs READ COMMITTED' USING ERRCODE = '25001';
    END IF;
    IF p_id IS NULL OR p_code IS NULL OR p_code_challenge IS NULL OR p_clerk_user_id IS NULL OR p_client_id IS NULL
        OR p_redirect_uri IS NULL OR p_scope IS NULL OR p_resource IS NULL OR p_ttl_us IS NULL OR p_event_id IS NULL THEN
        RAISE EXCEPTION 'gpt_issue_code_v1: a required parameter is NULL' USING ERRCODE = '22004';
    END IF;
    IF p_ttl_us <= 0 OR p_ttl_us > 600000000 THEN -- RFC 6749 4.1.2
        RAISE EXCEPTION 'gpt_issue_code_v1: a code lives more than 0 and at most 10 minutes' USING ERRCODE = '22023';
    END IF;

    INSERT INTO public.gpt_authorization_codes AS c
        (id, code, code_challenge, clerk_user_id, client_id, redirect_uri, scope, resource, data, expires_at, created_at)
    VALUES (p_id, p_code, p_code_challenge, p_clerk_user_id, p_client_id, p_redirect_uri, p_scope, p_resource, p_data,
            v_now + p_ttl_us * interval '1 us', v_now)
        ON CONFLICT DO NOTHING
    RETURNING c.expires_at INTO expires_at;

    IF FOUND THEN
        INSERT INTO public.gpt_oauth_events (id, event_type, clerk_user_id, client_id, ip_address, created_at)
        VALUES (p_event_id, 'authorize', p_clerk_user_id, p_client_id, p_ip_address, v_now);
        RETURN;
    END IF;

    SELECT c.expires_at INTO expires_at FROM public.gpt_authorization_codes AS c WHERE c.id = p_id AND c.code = p_code;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'gpt_issue_code_v1: the id or the code belongs to another code' USING ERRCODE = '23505';
    END IF;
END
$$;

-- Exchanges a code for a session and its first refresh token. Outcomes: exchanged, unknown, mismatch, replayed, expired,
-- ended. The caller draws the new ids and the token, so the same call again, after a lost answer, finds its own child.
CREATE FUNCTION public.gpt_exchange_code_v1(
    p_code                 text,   -- SHA-256 of the presented code, lower-case hex
    p_client_id            text,
    p_redirect_uri         text,   -- NULL = not sent
    p_code_challenge       text,   -- BASE64URL(SHA256(code_verifier)); NULL = no verifier sent
    p_client_authenticated boolean,
    p_session_id           uuid,
    p_refresh_token_id     uuid,
    p_token_hash           text,   -- SHA-256 of the new refresh token, lower-case hex
    p_refresh_ttl_us       bigint,
    p_session_ttl_us       bigint, -- 0 = no limit
    p_ip_address           text,   -- NULL = not known
    p_user_agent           text,   -- NULL = not known
    p_event_id             uuid,
    OUT outcome            text,
    OUT session_id         uuid,
    OUT clerk_user_id      text,
    OUT scope              text,
    OUT resource           text,
    OUT data               jsonb,
    OUT refresh_expires_at timestamptz,
    OUT session_expires_at timestamptz -- NULL = no limit
)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '3s'
AS $$
#variable_conflict use_column
DECLARE
    v_now   timestamptz;
    v_code  record;
    v_child record;
    v_rule  text;
BEGIN
    IF current_setting('transaction_isolation') IS DISTINCT FROM 'read committed' THEN
        RAISE EXCEPTION 'gpt_exchange_code_v1 needs READ COMMITTED' USING ERRCODE = '25001';
    END IF;
    IF p_code IS NULL OR p_client_id IS NULL OR p_client_authenticated IS NULL OR p_session_id IS NULL
        OR p_refresh_token_id IS NULL OR p_token_hash IS NULL OR p_refresh_ttl_us IS NULL OR p_session_ttl_us IS NULL
        OR p_event_id IS NULL THEN
        RAISE EXCEPTION 'gpt_exchange_code_v1: a required parameter is NULL' USING ERRCODE = '22004';
    END IF;
    IF p_refresh_ttl_us <= 0 OR p_refresh_ttl_us > 315360000000000 -- 3650 days
        OR p_session_ttl_us < 0 OR p_session_ttl_us > 315360000000000 THEN
        RAISE EXCEPTION 'gpt_exchange_code_v1: a TTL is out of range' USING ERRCODE = '22023';
    END IF;

    SELECT c.id, c.code_challenge, c.code_challenge_method, c.clerk_user_id, c.client_id, c.redirect_uri, c.scope,
           c.resource, c.data, c.expires_at, c.used_at, c.session_id
      INTO v_code
      FROM public.gpt_authorization_codes AS c
     WHERE c.code = p_code
       FOR NO KEY UPDATE;
    IF NOT FOUND OR v_code.client_id IS NULL THEN
        outcome := 'unknown';
        RETURN;
    END IF;
    session_id := v_code.session_id;
    clerk_user_id := v_code.clerk_user_id;

    IF v_code.used_at IS NOT NULL THEN
        PERFORM 1 FROM public.gpt_sessions AS s WHERE s.id = v_code.session_id FOR NO KEY UPDATE;
        SELECT t.expires_at AS refresh_expires_at, s.expires_at AS session_expires_at, s.ended_at
          INTO v_child
          FROM public.gpt_refresh_tokens AS t
          JOIN public.gpt_sessions AS s ON s.id = t.session_id
         WHERE t.token_hash = p_token_hash AND t.session_id = v_code.session_id;
        IF FOUND THEN
            -- This call's own child: the answer to its first attempt was lost.
            v_now := clock_timestamp();
            IF v_child.ended_at IS NOT NULL OR v_child.session_expires_at <= v_now OR v_child.refresh_expires_at <= v_now THEN
                outcome := 'ended';
                RETURN;
            END IF;
            outcome := 'exchanged';
            scope := v_code.scope;
            resource := v_code.resource;
            data := v_code.data;
            refresh_expires_at := v_child.refresh_expires_at;
            session_expires_at := v_child.session_expires_at;
            RETURN;
        END IF;
    END IF;

    -- Before the replay: a replay with wrong parameters proves nothing and must revoke nothing (OAuth 2.1 7.5.2).
    v_rule := CASE
        WHEN v_code.client_id IS DISTINCT FROM p_client_id THEN 'client_id'
        -- Without PKCE nothing but the redirect URI and the client's own authentication ties the code to this client.
        WHEN v_code.redirect_uri IS DISTINCT FROM p_redirect_uri
            AND (p_redirect_uri IS NOT NULL OR v_code.code_challenge = '') THEN 'redirect_uri'
        WHEN v_code.code_challenge_method IS DISTINCT FROM 'S256' THEN 'code_challenge_method'
        -- The empty challenge is decided here, never by comparison.
        WHEN v_code.code_challenge = '' AND p_code_challenge IS NOT NULL THEN 'code_verifier'
        WHEN v_code.code_challenge = '' AND NOT p_client_authenticated THEN 'client_authentication'
        WHEN v_code.code_challenge <> '' AND v_code.code_challenge IS DISTINCT FROM p_code_challenge THEN 'code_verifier'
    END;
    IF v_rule IS NOT NULL THEN
        outcome := 'mismatch';
        INSERT INTO public.gpt_oauth_events (id, event_type, clerk_user_id, client_id, session_id, metadata, ip_address, created_at)
        VALUES (p_event_id, 'code_mismatch', v_code.clerk_user_id, v_code.client_id, v_code.session_id,
                jsonb_build_object('rule', v_rule), p_ip_address, clock_timestamp())
            ON CONFLICT (id) DO NOTHING;
        RETURN;
    END IF;

    IF v_code.used_at IS NOT NULL THEN
        outcome := 'replayed';
        PERFORM public.gpt_close_session_v1(v_code.session_id, 'code_replay');
        INSERT INTO public.gpt_oauth_events (id, event_type, clerk_user_id, client_id, session_id, metadata, ip_address, created_at)
        VALUES (p_event_id, 'code_replay', v_code.clerk_user_id, v_code.client_id, v_code.session_id,
                jsonb_build_object('code_id', v_code.id, 'used_at', v_code.used_at), p_ip_address, clock_timestamp())
            ON CONFLICT (id) DO NOTHING;
        RETURN;
    END IF;

    v_now := clock_timestamp();
    IF v_code.expires_at <= v_now THEN
        outcome := 'expired';
        RETURN;
    END IF;

    outcome := 'exchanged';
    session_id := p_session_id;
    scope := v_code.scope;
    resource := v_code.resource;
    data := v_code.data;
    session_expires_at := CASE WHEN p_session_ttl_us > 0 THEN v_now + p_session_ttl_us * interval '1 us' END;
    refresh_expires_at := least(v_now + p_refresh_ttl_us * interval '1 us', session_expires_at);

    -- One statement, because session and token refer to each other and foreign keys are checked at its end.
    WITH token AS (
        INSERT INTO public.gpt_refresh_tokens (id, token_hash, clerk_user_id, session_id, expires_at, created_at)
        VALUES (p_refresh_token_id, p_token_hash, v_code.clerk_user_id, p_session_id, refresh_expires_at, v_now)
    ), session AS (
        INSERT INTO public.gpt_sessions (id, clerk_user_id, client_id, scope, resource, data, refresh_token_id, expires_at,
                                         ip_address, user_agent, last_active, created_at)
        VALUES (p_session_id, v_code.clerk_user_id, v_code.client_id, v_code.scope, v_code.resource, v_code.data,
                p_refresh_token_id, session_expires_at, p_ip_address, p_user_agent, v_now, v_now)
    ), event AS (
        INSERT INTO public.gpt_oauth_events (id, event_type, clerk_user_id, client_id, session_id, ip_address, created_at)
        VALUES (p_event_id, 'token_exchange', v_code.clerk_user_id, v_code.client_id, p_session_id, p_ip_address, v_now)
    )
    UPDATE public.gpt_authorization_codes AS c
       SET used_at = v_now, session_id = p_session_id
     WHERE c.id = v_code.id;
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
           AND p.proname IN ('gpt_issue_code_v1', 'gpt_exchange_code_v1')
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
