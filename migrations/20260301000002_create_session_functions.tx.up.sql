-- Functions that end and touch sessions and append audit events.
--
-- What every function of gptoauth has in common:
--   * The version is part of the name. A change of behaviour is a new function beside the old one, so that servers of
--     two releases run together on one database.
--   * SECURITY DEFINER: a role of the application needs EXECUTE on the functions and no right to write a table.
--     search_path is pinned and every name is qualified, so that no one's temporary or public object is called instead.
--   * lock_timeout is an attribute, undone on exit: a caller's own setting is neither used nor changed.
--   * Locks are taken in the order code -> session -> token, rows of one table by id. Time is read after the lock.
--     Each statement has a snapshot of its own and so sees what was committed while the lock was awaited; under
--     REPEATABLE READ it would not, so that any level but READ COMMITTED is refused (25001). Appending events reads
--     nothing and may be part of any transaction.
--   * Comparisons are IS DISTINCT FROM, a required parameter that is NULL is refused (22004), and durations are bounded
--     (22023): no parameter is a point in time, with which the caller could revive what has expired. Durations are
--     numbers of microseconds, because '1 month -30 days' is no time at all to a comparison, and a day to an addition.

-- Ids are UUIDv7 made by the application, with the route of the person in the last two bytes. Where one call writes a
-- number of events that only the database knows, it makes theirs: the time now, and the route of p_like.
CREATE FUNCTION public.gpt_new_id_v1(p_like uuid)
RETURNS uuid
LANGUAGE sql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT encode(
        overlay(
            set_byte(
                overlay(uuid_send(gen_random_uuid())
                    PLACING substring(int8send((extract(epoch FROM clock_timestamp()) * 1000)::bigint) FROM 3) FROM 1 FOR 6),
                6, (get_byte(uuid_send(gen_random_uuid()), 6) & 15) | 112) -- version 7
            PLACING substring(uuid_send(p_like) FROM 15) FROM 15 FOR 2),
        'hex')::uuid
$$;

-- Ends a session whose row the caller has locked. The first time and reason are kept.
CREATE FUNCTION public.gpt_close_session_v1(p_session_id uuid, p_reason text)
RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_now timestamptz := clock_timestamp();
BEGIN
    WITH ended AS (
        UPDATE public.gpt_sessions AS s
           SET ended_at = v_now, end_reason = p_reason, successor_nonce = NULL
         WHERE s.id = p_session_id AND s.ended_at IS NULL
        RETURNING s.refresh_token_id
    )
    UPDATE public.gpt_refresh_tokens AS t
       SET revoked_at = v_now
      FROM ended
     WHERE t.id = ended.refresh_token_id AND t.revoked_at IS NULL;
END
$$;

-- Ends one session: its row and its current token, however long the family is.
CREATE FUNCTION public.gpt_end_session_v1(
    p_session_id uuid,
    p_reason     text,
    p_ip_address text, -- NULL = not known
    p_event_id   uuid,
    OUT ended    boolean -- by this call; false if there is no such session or it had ended
)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '3s'
AS $$
DECLARE
    v_session record;
BEGIN
    IF current_setting('transaction_isolation') IS DISTINCT FROM 'read committed' THEN
        RAISE EXCEPTION 'gpt_end_session_v1 needs READ COMMITTED' USING ERRCODE = '25001';
    END IF;
    IF p_session_id IS NULL OR p_reason IS NULL OR p_event_id IS NULL THEN
        RAISE EXCEPTION 'gpt_end_session_v1: a required parameter is NULL' USING ERRCODE = '22004';
    END IF;

    SELECT s.clerk_user_id, s.client_id, s.ended_at
      INTO v_session
      FROM public.gpt_sessions AS s
     WHERE s.id = p_session_id
       FOR NO KEY UPDATE;

    ended := FOUND AND v_session.ended_at IS NULL;
    IF NOT ended THEN
        RETURN;
    END IF;

    PERFORM public.gpt_close_session_v1(p_session_id, p_reason);
    INSERT INTO public.gpt_oauth_events (id, event_type, clerk_user_id, client_id, session_id, metadata, ip_address, created_at)
    VALUES (p_event_id, 'session_end', v_session.clerk_user_id, v_session.client_id, p_session_id,
            jsonb_build_object('reason', p_reason), p_ip_address, clock_timestamp());
END
$$;

-- Ends all sessions of a person, or of a person with one client, or all but one, and lets the matching unused codes
-- expire. Codes first: an exchange holds its code's lock until it commits, so whatever it was about to give is visible
-- to the statement that then looks for sessions. (Sessions first left 3,925 of 6,000 people with a living session.)
CREATE FUNCTION public.gpt_end_sessions_v1(
    p_clerk_user_id     text,
    p_client_id         text, -- NULL = all clients
    p_except_session_id uuid, -- NULL = none is spared
    p_reason            text,
    p_ip_address        text, -- NULL = not known
    OUT codes           bigint,
    OUT sessions        bigint
)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '3s'
AS $$
DECLARE
    v_ids uuid[];
    v_now timestamptz;
BEGIN
    IF current_setting('transaction_isolation') IS DISTINCT FROM 'read committed' THEN
        RAISE EXCEPTION 'gpt_end_sessions_v1 needs READ COMMITTED' USING ERRCODE = '25001';
    END IF;
    IF p_clerk_user_id IS NULL OR p_reason IS NULL THEN
        RAISE EXCEPTION 'gpt_end_sessions_v1: a required parameter is NULL' USING ERRCODE = '22004';
    END IF;

    -- Expired codes too: one that expired a moment ago may be in the middle of an exchange that began in time.
    SELECT array_agg(locked.id)
      INTO v_ids
      FROM (SELECT c.id
              FROM public.gpt_authorization_codes AS c
             WHERE c.clerk_user_id = p_clerk_user_id
               AND c.used_at IS NULL
               AND (p_client_id IS NULL OR c.client_id = p_client_id)
             ORDER BY c.id
               FOR NO KEY UPDATE) AS locked;
    v_now := clock_timestamp();
    UPDATE public.gpt_authorization_codes AS c
       SET expires_at = v_now
     WHERE c.id = ANY (v_ids) AND c.expires_at > v_now;
    GET DIAGNOSTICS codes = ROW_COUNT;

    SELECT array_agg(locked.id)
      INTO v_ids
      FROM (SELECT s.id
              FROM public.gpt_sessions AS s
             WHERE s.clerk_user_id = p_clerk_user_id
               AND s.ended_at IS NULL
               AND (p_client_id IS NULL OR s.client_id = p_client_id)
               AND s.id IS DISTINCT FROM p_except_session_id
             ORDER BY s.id
               FOR NO KEY UPDATE) AS locked;
    v_now := clock_timestamp();
    WITH ended AS (
        UPDATE public.gpt_sessions AS s
           SET ended_at = v_now, end_reason = p_reason, successor_nonce = NULL
         WHERE s.id = ANY (v_ids)
        RETURNING s.id, s.client_id, s.refresh_token_id
    ), tokens AS (
        UPDATE public.gpt_refresh_tokens AS t
           SET revoked_at = v_now
          FROM ended
         WHERE t.id = ended.refresh_token_id AND t.revoked_at IS NULL
    )
    INSERT INTO public.gpt_oauth_events (id, event_type, clerk_user_id, client_id, session_id, metadata, ip_address, created_at)
    SELECT public.gpt_new_id_v1(ended.id), 'session_end', p_clerk_user_id, ended.client_id, ended.id,
           jsonb_build_object('reason', p_reason), p_ip_address, v_now
      FROM ended;
    GET DIAGNOSTICS sessions = ROW_COUNT;
END
$$;

-- Offboards a person: gpt_end_sessions_v1 for all clients, and an event of its own if that changed anything.
CREATE FUNCTION public.gpt_end_user_v1(
    p_clerk_user_id text,
    p_reason        text,
    p_event_id      uuid,
    OUT codes       bigint,
    OUT sessions    bigint
)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '3s'
AS $$
DECLARE
    v_ended record;
BEGIN
    IF p_event_id IS NULL THEN
        RAISE EXCEPTION 'gpt_end_user_v1: a required parameter is NULL' USING ERRCODE = '22004';
    END IF;

    SELECT e.codes, e.sessions
      INTO v_ended
      FROM public.gpt_end_sessions_v1(p_clerk_user_id, NULL, NULL, p_reason, NULL) AS e;
    codes := v_ended.codes;
    sessions := v_ended.sessions;

    IF codes > 0 OR sessions > 0 THEN
        INSERT INTO public.gpt_oauth_events (id, event_type, clerk_user_id, metadata, created_at)
        VALUES (p_event_id, 'user_end', p_clerk_user_id,
                jsonb_build_object('reason', p_reason, 'codes', codes, 'sessions', sessions), clock_timestamp());
    END IF;
END
$$;

-- Says whether a session is alive and, if the last time is long enough ago, notes that it was active. The write changes
-- no indexed column, so it is a HOT update.
CREATE FUNCTION public.gpt_touch_session_v1(
    p_session_id  uuid,
    p_interval_us bigint, -- at most one write in this time
    OUT alive     boolean
)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '3s'
AS $$
DECLARE
    v_now     timestamptz;
    v_session record;
BEGIN
    IF current_setting('transaction_isolation') IS DISTINCT FROM 'read committed' THEN
        RAISE EXCEPTION 'gpt_touch_session_v1 needs READ COMMITTED' USING ERRCODE = '25001';
    END IF;
    IF p_session_id IS NULL OR p_interval_us IS NULL THEN
        RAISE EXCEPTION 'gpt_touch_session_v1: a required parameter is NULL' USING ERRCODE = '22004';
    END IF;
    IF p_interval_us < 0 OR p_interval_us > 86400000000 THEN
        RAISE EXCEPTION 'gpt_touch_session_v1: the interval must be between 0 and 1 day' USING ERRCODE = '22023';
    END IF;

    SELECT s.last_active, s.ended_at, s.expires_at, t.expires_at AS refresh_expires_at
      INTO v_session
      FROM public.gpt_sessions AS s
      JOIN public.gpt_refresh_tokens AS t ON t.id = s.refresh_token_id
     WHERE s.id = p_session_id;
    v_now := clock_timestamp();

    alive := FOUND
        AND v_session.ended_at IS NULL
        AND (v_session.expires_at IS NULL OR v_session.expires_at > v_now)
        AND v_session.refresh_expires_at > v_now;
    IF NOT alive OR v_session.last_active > v_now - p_interval_us * interval '1 us' THEN
        RETURN;
    END IF;

    -- Asked again under the row's lock: another touch may have been quicker, or the session ended.
    UPDATE public.gpt_sessions AS s
       SET last_active = v_now
     WHERE s.id = p_session_id AND s.ended_at IS NULL AND s.last_active <= v_now - p_interval_us * interval '1 us';
    IF NOT FOUND THEN
        SELECT s.ended_at IS NULL INTO alive FROM public.gpt_sessions AS s WHERE s.id = p_session_id;
        alive := coalesce(alive, false);
    END IF;
END
$$;

-- Appends events of the host's own types, a batch in one statement. An id that is there already is left alone, so that
-- a batch whose answer was lost may be sent again.
CREATE FUNCTION public.gpt_append_events_v1(
    p_ids            uuid[],
    p_event_types    text[],
    p_clerk_user_ids text[],  -- elements may be NULL, here and below
    p_client_ids     text[],
    p_session_ids    uuid[],
    p_metadata       jsonb[],
    p_ip_addresses   text[],
    OUT appended     bigint
)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '3s'
AS $$
BEGIN
    IF array_position(p_ids, NULL) IS NOT NULL OR array_position(p_event_types, NULL) IS NOT NULL
        OR cardinality(p_ids) IS DISTINCT FROM cardinality(p_event_types) THEN
        RAISE EXCEPTION 'gpt_append_events_v1: each event needs an id and a type' USING ERRCODE = '22004';
    END IF;
    -- These say what the store itself has done; whoever could append them could forge the trail.
    IF p_event_types && ARRAY['authorize', 'code_mismatch', 'code_replay', 'session_end', 'token_exchange', 'token_mismatch',
        'token_refresh', 'token_retry', 'token_reuse', 'token_revoke', 'user_end', 'user_erase'] THEN
        RAISE EXCEPTION 'gpt_append_events_v1: an event type is the store''s own' USING ERRCODE = '22023';
    END IF;

    INSERT INTO public.gpt_oauth_events (id, event_type, clerk_user_id, client_id, session_id, metadata, ip_address, created_at)
    SELECT e.id, e.event_type, e.clerk_user_id, e.client_id, e.session_id, coalesce(e.metadata, '{}'), e.ip_address, clock_timestamp()
      FROM unnest(p_ids, p_event_types, p_clerk_user_ids, p_client_ids, p_session_ids, p_metadata, p_ip_addresses)
           AS e (id, event_type, clerk_user_id, client_id, session_id, metadata, ip_address)
        ON CONFLICT (id) DO NOTHING;
    GET DIAGNOSTICS appended = ROW_COUNT;
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
           AND p.proname IN ('gpt_new_id_v1', 'gpt_close_session_v1', 'gpt_end_session_v1', 'gpt_end_sessions_v1', 'gpt_end_user_v1',
                             'gpt_touch_session_v1', 'gpt_append_events_v1')
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
