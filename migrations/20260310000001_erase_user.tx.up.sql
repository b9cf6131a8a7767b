-- Erases a person (GDPR, article 17), and lets the janitor find the tokens that belong to no session. What all functions
-- have in common stands at the top of create_session_functions.

-- Only rows older than gptoauth have no session, so in a new database this index is and stays empty; without it each purge
-- would read the whole table to find that out. BLOCKS WRITES to the table for one reading of it.
CREATE INDEX idx_gpt_refresh_tokens_no_session ON public.gpt_refresh_tokens (id) WHERE session_id IS NULL;

-- Deletes a person's codes, tokens and sessions, and makes their audit events no one's: without the person's id, the IP
-- address and what the host wrote into them. What the store itself wrote stays (which rule, how many, which row, and the
-- reason given for an end), so that the trail still says what happened, and when. The same call again, after a lost answer,
-- counts the same; erasing someone who is not there changes nothing and writes no event.
CREATE FUNCTION public.gpt_erase_user_v1(
    p_clerk_user_id text,
    p_event_id      uuid, -- with no route in it: it must not lead back to the person
    OUT codes       bigint,
    OUT sessions    bigint,
    OUT tokens      bigint,
    OUT events      bigint
)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '3s'
AS $$
DECLARE
    v_erased   record;
    v_codes    uuid[];
    v_sessions uuid[];
    v_trail    uuid[];
BEGIN
    IF current_setting('transaction_isolation') IS DISTINCT FROM 'read committed' THEN
        RAISE EXCEPTION 'gpt_erase_user_v1 needs READ COMMITTED' USING ERRCODE = '25001';
    END IF;
    IF p_clerk_user_id IS NULL OR p_event_id IS NULL THEN
        RAISE EXCEPTION 'gpt_erase_user_v1: a required parameter is NULL' USING ERRCODE = '22004';
    END IF;

    -- This call's own event: the answer to its first attempt was lost.
    SELECT e.metadata INTO v_erased FROM public.gpt_oauth_events AS e WHERE e.id = p_event_id AND e.event_type = 'user_erase';
    IF FOUND THEN
        codes := (v_erased.metadata->>'codes')::bigint;
        sessions := (v_erased.metadata->>'sessions')::bigint;
        tokens := (v_erased.metadata->>'tokens')::bigint;
        events := (v_erased.metadata->>'events')::bigint;
        RETURN;
    END IF;

    -- Codes first, as in gpt_end_sessions_v1: an exchange holds its code's lock until it commits, so whatever it was about
    -- to give is visible to the statement that then looks for sessions. A rotation holds its session's lock likewise.
    SELECT coalesce(array_agg(locked.id), '{}')
      INTO v_codes
      FROM (SELECT c.id FROM public.gpt_authorization_codes AS c WHERE c.clerk_user_id = p_clerk_user_id ORDER BY c.id FOR UPDATE) AS locked;
    SELECT coalesce(array_agg(locked.id), '{}')
      INTO v_sessions
      FROM (SELECT s.id FROM public.gpt_sessions AS s WHERE s.clerk_user_id = p_clerk_user_id ORDER BY s.id FOR UPDATE) AS locked;

    -- One statement, because sessions and tokens refer to each other and foreign keys are checked at its end. A sign-in that
    -- began after the locks above refers to what is deleted, or is referred to: begin again, it is seen then.
    BEGIN
        WITH deleted_codes AS (
            DELETE FROM public.gpt_authorization_codes AS c
             WHERE c.id = ANY (v_codes)
            RETURNING c.id
        ), deleted_tokens AS (
            DELETE FROM public.gpt_refresh_tokens AS t
             WHERE t.clerk_user_id = p_clerk_user_id
            RETURNING t.id
        ), deleted_sessions AS (
            DELETE FROM public.gpt_sessions AS s
             WHERE s.id = ANY (v_sessions)
            RETURNING s.id
        )
        SELECT (SELECT count(*) FROM deleted_codes), (SELECT count(*) FROM deleted_sessions), (SELECT count(*) FROM deleted_tokens)
          INTO codes, sessions, tokens;
    EXCEPTION WHEN foreign_key_violation THEN
        RAISE EXCEPTION 'gpt_erase_user_v1: a sign-in came in between' USING ERRCODE = '40001';
    END;

    -- An event of the host's own may name only the session, one that was purged long ago included: other events say whose
    -- it was.
    SELECT coalesce(array_agg(DISTINCT e.session_id), '{}') || v_sessions
      INTO v_trail
      FROM public.gpt_oauth_events AS e
     WHERE e.clerk_user_id = p_clerk_user_id AND e.session_id IS NOT NULL;
    WITH trail AS (
        SELECT e.id FROM public.gpt_oauth_events AS e WHERE e.clerk_user_id = p_clerk_user_id
        UNION ALL
        SELECT e.id FROM public.gpt_oauth_events AS e WHERE e.clerk_user_id IS NULL AND e.session_id = ANY (v_trail)
    )
    UPDATE public.gpt_oauth_events AS e
       SET clerk_user_id = NULL,
           ip_address = NULL,
           metadata = CASE
               WHEN jsonb_typeof(e.metadata) = 'object'
                   AND e.event_type IN ('authorize', 'code_mismatch', 'code_replay', 'session_end', 'token_exchange', 'token_mismatch',
                       'token_refresh', 'token_retry', 'token_reuse', 'token_revoke', 'user_end', 'user_erase')
               THEN coalesce((SELECT jsonb_object_agg(kept.key, kept.value)
                                FROM jsonb_each(e.metadata) AS kept
                               WHERE kept.key IN ('code_id', 'codes', 'reason', 'refresh_token_id', 'rotated_at', 'rule', 'sessions',
                                                  'used_at')), '{}')
               ELSE '{}'
           END
      FROM trail
     WHERE e.id = trail.id;
    GET DIAGNOSTICS events = ROW_COUNT;

    IF codes > 0 OR sessions > 0 OR tokens > 0 OR events > 0 THEN
        INSERT INTO public.gpt_oauth_events (id, event_type, metadata, created_at)
        VALUES (p_event_id, 'user_erase',
                jsonb_build_object('codes', codes, 'sessions', sessions, 'tokens', tokens, 'events', events), clock_timestamp());
    END IF;
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
           AND p.proname IN ('gpt_erase_user_v1')
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
