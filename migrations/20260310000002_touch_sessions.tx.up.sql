-- A batch form of gpt_touch_session_v1, for servers that collect which sessions were used and say so once in a while. What
-- all functions have in common stands at the top of create_session_functions.

-- Says which of the sessions are alive and, for each whose last time is long enough ago, notes that it was active. It waits
-- for no one: a session whose row is locked is being rotated, which notes the same, or ended.
CREATE FUNCTION public.gpt_touch_sessions_v1(
    p_session_ids uuid[],
    p_interval_us bigint, -- at most one write a session in this time
    OUT alive     uuid[]
)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '3s'
AS $$
DECLARE
    v_now timestamptz := clock_timestamp();
BEGIN
    IF current_setting('transaction_isolation') IS DISTINCT FROM 'read committed' THEN
        RAISE EXCEPTION 'gpt_touch_sessions_v1 needs READ COMMITTED' USING ERRCODE = '25001';
    END IF;
    IF p_session_ids IS NULL OR array_position(p_session_ids, NULL) IS NOT NULL OR p_interval_us IS NULL THEN
        RAISE EXCEPTION 'gpt_touch_sessions_v1: a required parameter is NULL' USING ERRCODE = '22004';
    END IF;
    IF cardinality(p_session_ids) > 1000 THEN
        RAISE EXCEPTION 'gpt_touch_sessions_v1: at most 1,000 sessions a call' USING ERRCODE = '22023';
    END IF;
    IF p_interval_us < 0 OR p_interval_us > 86400000000 THEN
        RAISE EXCEPTION 'gpt_touch_sessions_v1: the interval must be between 0 and 1 day' USING ERRCODE = '22023';
    END IF;

    WITH due AS (
        SELECT locked.id
          FROM (SELECT DISTINCT i.id FROM unnest(p_session_ids) AS i (id)) AS asked
         CROSS JOIN LATERAL (
            SELECT s.id
              FROM public.gpt_sessions AS s
             WHERE s.id = asked.id
               AND s.ended_at IS NULL
               AND (s.expires_at IS NULL OR s.expires_at > v_now)
               AND s.last_active <= v_now - p_interval_us * interval '1 us'
               AND EXISTS (SELECT FROM public.gpt_refresh_tokens AS t WHERE t.id = s.refresh_token_id AND t.expires_at > v_now)
               FOR NO KEY UPDATE OF s SKIP LOCKED
         ) AS locked
    )
    UPDATE public.gpt_sessions AS s SET last_active = v_now FROM due WHERE s.id = due.id;

    -- A statement of its own, so that it sees what has been committed meanwhile.
    v_now := clock_timestamp();
    SELECT coalesce(array_agg(DISTINCT s.id), '{}')
      INTO alive
      FROM unnest(p_session_ids) AS asked (id)
      JOIN public.gpt_sessions AS s ON s.id = asked.id
      JOIN public.gpt_refresh_tokens AS t ON t.id = s.refresh_token_id
     WHERE s.ended_at IS NULL AND (s.expires_at IS NULL OR s.expires_at > v_now) AND t.expires_at > v_now;
END
$$;

-- A function may be executed by PUBLIC, and on Supabase by the API's roles, unless this is said.
DO $$
DECLARE
    v_grantee text;
BEGIN
    FOR v_grantee IN
        SELECT 'PUBLIC'
        UNION ALL
        SELECT format('%I', rolname) FROM pg_catalog.pg_roles WHERE rolname IN ('anon', 'authenticated', 'service_role')
    LOOP
        EXECUTE 'REVOKE ALL ON FUNCTION public.gpt_touch_sessions_v1(uuid[], bigint) FROM ' || v_grantee;
    END LOOP;
END
$$;
