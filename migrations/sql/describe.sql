-- One line for each thing that makes up the tables, sequences and functions public.gpt_*. Run with an empty search_path,
-- so that every name comes out qualified. Owners are left out, and with them what an owner may do: they differ between
-- installations of one schema.
WITH relation AS (
    SELECT c.oid, c.relname, c.relkind, c.relrowsecurity, c.relforcerowsecurity, c.relowner, c.relacl,
           format('public.%I', c.relname) AS qualified
      FROM pg_catalog.pg_class AS c
     WHERE c.relnamespace = 'public'::regnamespace AND c.relname LIKE 'gpt\_%'
), grantable AS ( -- NULL stands for the default, which for a function is EXECUTE to PUBLIC
    SELECT 'table' AS class, qualified, relowner AS owner, relacl AS acl FROM relation WHERE relkind IN ('r', 'p', 'v', 'm', 'f')
    UNION ALL
    SELECT 'sequence', qualified, relowner, relacl FROM relation WHERE relkind = 'S'
    UNION ALL
    SELECT 'column', format('%s.%I', r.qualified, a.attname), r.relowner, a.attacl
      FROM relation AS r JOIN pg_catalog.pg_attribute AS a ON a.attrelid = r.oid
     WHERE a.attacl IS NOT NULL AND NOT a.attisdropped
    UNION ALL
    SELECT 'function', p.oid::regprocedure::text, p.proowner, coalesce(p.proacl, acldefault('f', p.proowner))
      FROM pg_catalog.pg_proc AS p
     WHERE p.pronamespace = 'public'::regnamespace AND p.proname LIKE 'gpt\_%'
), line AS (
    SELECT CASE relkind WHEN 'S' THEN 'sequence ' || qualified
           ELSE format('table %s, row level security %s%s', qualified, CASE WHEN relrowsecurity THEN 'on' ELSE 'off' END,
                       CASE WHEN relforcerowsecurity THEN ', forced' ELSE '' END) END AS text
      FROM relation
     WHERE relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
    UNION ALL
    SELECT format('column %s.%I %s%s%s%s', r.qualified, a.attname, format_type(a.atttypid, a.atttypmod),
                  CASE WHEN a.attnotnull THEN ' NOT NULL' ELSE '' END,
                  CASE WHEN a.attidentity <> '' THEN ' IDENTITY' WHEN a.attgenerated <> '' THEN ' GENERATED' ELSE '' END,
                  coalesce(' DEFAULT ' || pg_get_expr(d.adbin, d.adrelid), ''))
      FROM relation AS r
      JOIN pg_catalog.pg_attribute AS a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
      LEFT JOIN pg_catalog.pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
     WHERE r.relkind IN ('r', 'p', 'v', 'm', 'f')
    UNION ALL -- PostgreSQL 18 lists NOT NULL here too; the column says it already
    SELECT format('constraint on %s %I %s', r.qualified, k.conname, pg_get_constraintdef(k.oid))
      FROM relation AS r JOIN pg_catalog.pg_constraint AS k ON k.conrelid = r.oid
     WHERE k.contype <> 'n'
    UNION ALL
    SELECT format('index on %s %s%s', r.qualified, pg_get_indexdef(i.indexrelid), CASE WHEN i.indisvalid THEN '' ELSE ' INVALID' END)
      FROM relation AS r JOIN pg_catalog.pg_index AS i ON i.indrelid = r.oid
    UNION ALL
    SELECT format('trigger on %s %s', r.qualified, pg_get_triggerdef(t.oid))
      FROM relation AS r JOIN pg_catalog.pg_trigger AS t ON t.tgrelid = r.oid
     WHERE NOT t.tgisinternal
    UNION ALL
    SELECT format('policy %I on %s %s %s TO %s USING (%s) WITH CHECK (%s)', p.polname, r.qualified,
                  CASE WHEN p.polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END, p.polcmd,
                  (SELECT string_agg(CASE WHEN o = 0 THEN 'PUBLIC' ELSE pg_get_userbyid(o)::text END, ', ' ORDER BY o) FROM unnest(p.polroles) AS o),
                  coalesce(pg_get_expr(p.polqual, p.polrelid), ''), coalesce(pg_get_expr(p.polwithcheck, p.polrelid), ''))
      FROM relation AS r JOIN pg_catalog.pg_policy AS p ON p.polrelid = r.oid
    UNION ALL
    SELECT format('function %s, md5 %s', p.oid::regprocedure, md5(pg_get_functiondef(p.oid)))
      FROM pg_catalog.pg_proc AS p
     WHERE p.pronamespace = 'public'::regnamespace AND p.proname LIKE 'gpt\_%' AND p.prokind IN ('f', 'p')
    UNION ALL
    SELECT format('grant %s%s on %s %s to %s', x.privilege_type, CASE WHEN x.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END,
                  g.class, g.qualified, CASE WHEN x.grantee = 0 THEN 'PUBLIC' ELSE pg_get_userbyid(x.grantee)::text END)
      FROM grantable AS g CROSS JOIN LATERAL aclexplode(g.acl) AS x
     WHERE x.grantee <> g.owner
)
SELECT text FROM line ORDER BY text COLLATE "C"
