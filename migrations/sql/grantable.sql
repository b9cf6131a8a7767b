-- What an application role needs: all that package repo sends, but for purging and, unless it is wanted, for erasing. One
-- row a table or function. What does not exist yet is left out: grant again after migrating.
SELECT c.oid AS relation, NULL::oid AS function,
       format('SELECT (%s) ON TABLE public.%I', string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum), c.relname) AS privilege,
       array_agg(a.attname::text ORDER BY a.attnum) AS columns,
       false AS erases
  FROM (VALUES
           -- Without successor_nonce: with it and an old token the current one can be made.
           ('gpt_sessions', ARRAY['id', 'clerk_user_id', 'client_id', 'scope', 'resource', 'data', 'refresh_token_id', 'last_active',
                                  'created_at', 'expires_at', 'ended_at', 'end_reason', 'retries', 'ip_address', 'user_agent']),
           ('gpt_refresh_tokens', ARRAY['id', 'token_hash', 'clerk_user_id', 'expires_at', 'revoked_at', 'rotated_to', 'created_at',
                                        'session_id']),
           ('gpt_oauth_events', ARRAY['id', 'event_type', 'clerk_user_id', 'metadata', 'ip_address', 'created_at', 'session_id',
                                      'client_id']),
           ('gpt_migrations', ARRAY['name', 'comment', 'checksum', 'migrated_at']) -- for migrations.Check
       ) AS wanted (relname, columns)
  JOIN pg_catalog.pg_class AS c ON c.relname = wanted.relname AND c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
  JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attname::text = ANY (wanted.columns) AND NOT a.attisdropped
 GROUP BY c.oid, c.relname
UNION ALL
-- The functions that run with their owner's rights are those made to be called; the others are parts of them.
SELECT NULL, p.oid, format('EXECUTE ON FUNCTION %s', p.oid::regprocedure), NULL, p.proname ~ '^gpt_erase_'
  FROM pg_catalog.pg_proc AS p
 WHERE p.pronamespace = 'public'::regnamespace AND p.proname ~ '^gpt_[a-z_]+_v[0-9]+$' AND p.proname !~ '^gpt_purge_' AND p.prosecdef
   AND p.proowner = (SELECT c.relowner FROM pg_catalog.pg_class AS c WHERE c.oid = to_regclass('public.gpt_migrations'))
