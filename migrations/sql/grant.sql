-- The rights of an application role of gptoauth, see gptoauth migrate grant --help. One statement, so that it happens as a
-- whole or not at all. Run it again after migrating: new functions are granted to no one.
DO $gptoauth_grant$
DECLARE
    v_name   text := @role@;
    v_revoke boolean := @revoke@; -- take all away instead
    v_erase  boolean := @erase@;  -- and the function that erases a person
    v_owner  oid;
    v_role   record;
    v_item   record;
    v_policy record;
BEGIN
    PERFORM pg_advisory_xact_lock(@key@); -- no one migrates meanwhile
    PERFORM set_config('lock_timeout', '@lock_timeout@', true); -- rather fail than let all traffic queue behind this

    SELECT c.relowner INTO v_owner FROM pg_catalog.pg_class AS c WHERE c.oid = to_regclass('public.gpt_migrations');
    IF NOT FOUND OR to_regclass('public.gpt_sessions') IS NULL THEN
        RAISE EXCEPTION 'gptoauth: this database is not migrated' USING ERRCODE = '55000';
    END IF;
    SELECT r.oid, r.rolname, r.rolsuper INTO v_role FROM pg_catalog.pg_roles AS r WHERE r.rolname::text = v_name;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'gptoauth: there is no role %', quote_ident(v_name) USING ERRCODE = '42704';
    END IF;
    -- Whoever has the owner's rights is held back by nothing that is granted here.
    IF v_role.rolsuper OR pg_has_role(v_role.oid, v_owner, 'MEMBER') THEN
        RAISE EXCEPTION 'gptoauth: role % has the rights of the owner of the tables already', quote_ident(v_name) USING ERRCODE = '0LP01';
    END IF;
    -- Supabase lets anyone on the internet act as these.
    IF NOT v_revoke AND EXISTS (
        SELECT FROM pg_catalog.pg_roles AS r
         WHERE r.rolname IN ('anon', 'authenticated', 'service_role') AND pg_has_role(r.oid, v_role.oid, 'MEMBER')) THEN
        RAISE EXCEPTION 'gptoauth: role % is one of the API''s, or granted to one', quote_ident(v_name) USING ERRCODE = '0LP01';
    END IF;

    -- First away with everything, so that a GRANT ALL of the past does not remain: TRUNCATE, for one, no policy stops.
    FOR v_item IN
        SELECT format('%s public.%I', CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, c.relname) AS object
          FROM pg_catalog.pg_class AS c
         WHERE c.relnamespace = 'public'::regnamespace AND c.relname ~ '^gpt_' AND c.relkind IN ('r', 'p', 'S') AND c.relowner = v_owner
        UNION ALL
        SELECT format('FUNCTION %s', p.oid::regprocedure)
          FROM pg_catalog.pg_proc AS p
         WHERE p.pronamespace = 'public'::regnamespace AND p.proname ~ '^gpt_' AND p.proowner = v_owner
    LOOP
        EXECUTE format('REVOKE ALL ON %s FROM %I', v_item.object, v_role.rolname);
    END LOOP;

    IF NOT v_revoke AND NOT has_schema_privilege(v_role.oid, 'public', 'USAGE') THEN
        EXECUTE format('GRANT USAGE ON SCHEMA public TO %I', v_role.rolname);
    END IF;
    FOR v_item IN
        SELECT g.relation, g.relation::regclass AS qualified, g.privilege, g.erases FROM (
@grantable@        ) AS g
    LOOP
        IF NOT v_revoke AND (v_erase OR NOT v_item.erases) THEN
            EXECUTE format('GRANT %s TO %I', v_item.privilege, v_role.rolname);
        END IF;
        CONTINUE WHEN v_item.relation IS NULL;

        -- Row level security is on for every table, so reading needs a policy too. One serves all application roles.
        SELECT p.oid,
               v_role.oid = ANY (p.polroles) AS has_role,
               (SELECT string_agg(quote_ident(r.rolname), ', ' ORDER BY r.rolname)
                  FROM pg_catalog.pg_roles AS r
                 WHERE CASE WHEN r.oid = v_role.oid THEN NOT v_revoke ELSE r.oid = ANY (p.polroles) END) AS roles
          INTO v_policy
          FROM pg_catalog.pg_policy AS p
         WHERE p.polrelid = v_item.relation AND p.polname = 'gpt_app_read';
        CASE
            WHEN v_policy.oid IS NULL AND NOT v_revoke THEN
                EXECUTE format('CREATE POLICY gpt_app_read ON %s FOR SELECT TO %I USING (true)', v_item.qualified, v_role.rolname);
            WHEN v_policy.oid IS NULL OR v_policy.has_role = (NOT v_revoke) THEN
                NULL;
            WHEN v_policy.roles IS NULL THEN
                EXECUTE format('DROP POLICY gpt_app_read ON %s', v_item.qualified);
            ELSE
                EXECUTE format('ALTER POLICY gpt_app_read ON %s TO %s', v_item.qualified, v_policy.roles);
        END CASE;
    END LOOP;
END
$gptoauth_grant$;
