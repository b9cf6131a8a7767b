-- What each application role should have, a line as describe.sql writes it, and whether it has it. Erasing is optional, so
-- it is listed only for those who have some function for it. Run with an empty search_path.
WITH grantable AS (
@grantable@), grantee AS (
    SELECT DISTINCT r.oid, r.rolname
      FROM pg_catalog.pg_policy AS p
      JOIN pg_catalog.pg_class AS c ON c.oid = p.polrelid AND c.relnamespace = 'public'::regnamespace AND c.relname ~ '^gpt_'
      JOIN pg_catalog.pg_roles AS r ON r.oid = ANY (p.polroles)
     WHERE p.polname = 'gpt_app_read'
)
SELECT r.rolname::text, format('grant SELECT on column %s.%I to %s', g.relation::regclass, a.column_name, r.rolname) AS line,
       has_column_privilege(r.oid, g.relation, a.column_name, 'SELECT') AS present, false AS erases
  FROM grantee AS r CROSS JOIN grantable AS g CROSS JOIN LATERAL unnest(g.columns) AS a (column_name)
UNION ALL
SELECT r.rolname, format('grant EXECUTE on function %s to %s', g.function::regprocedure, r.rolname),
       has_function_privilege(r.oid, g.function, 'EXECUTE') AS present, g.erases
  FROM grantee AS r CROSS JOIN grantable AS g
 WHERE g.function IS NOT NULL
   AND (NOT g.erases OR EXISTS (SELECT FROM grantable AS e WHERE e.erases AND has_function_privilege(r.oid, e.function, 'EXECUTE')))
UNION ALL
SELECT r.rolname,
       format('policy gpt_app_read on %s PERMISSIVE r TO %s USING (true) WITH CHECK ()', g.relation::regclass,
              coalesce((SELECT string_agg(pg_get_userbyid(o)::text, ', ' ORDER BY o) FROM unnest(p.polroles) AS o), r.rolname)),
       coalesce(r.oid = ANY (p.polroles) AND p.polpermissive AND p.polcmd = 'r' AND pg_get_expr(p.polqual, p.polrelid) = 'true', false),
       false
  FROM grantee AS r CROSS JOIN grantable AS g
  LEFT JOIN pg_catalog.pg_policy AS p ON p.polrelid = g.relation AND p.polname = 'gpt_app_read'
 WHERE g.relation IS NOT NULL
 ORDER BY 1, 2
