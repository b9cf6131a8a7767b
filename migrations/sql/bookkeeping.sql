-- The record of what is applied, and the operator's hold. One statement, so that it is there as a whole or not at all;
-- it changes nothing where it is there already. Run under the advisory lock.
DO $bookkeeping$
DECLARE
    v_grantee text;
BEGIN
    IF to_regclass('public.gpt_migrations') IS NOT NULL THEN
        RETURN;
    END IF;

    -- The first columns are those of Bun's model, so that its migrator can read the table.
    CREATE TABLE public.gpt_migrations (
        id          bigserial PRIMARY KEY,
        name        text NOT NULL UNIQUE,
        group_id    bigint NOT NULL,      -- one a migration, so that Bun's Rollback undoes one
        migrated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
        comment     text NOT NULL,
        checksum    text NOT NULL         -- SHA-256 of the up file
    );

    -- At most one row: the hold.
    CREATE TABLE public.gpt_migration_locks (
        id     boolean PRIMARY KEY DEFAULT true CHECK (id),
        holder text NOT NULL,
        reason text NOT NULL,
        since  timestamptz NOT NULL DEFAULT clock_timestamp()
    );

    -- Tables in public are readable through Supabase's API unless this is said.
    ALTER TABLE public.gpt_migrations ENABLE ROW LEVEL SECURITY;
    ALTER TABLE public.gpt_migration_locks ENABLE ROW LEVEL SECURITY;
    FOR v_grantee IN
        SELECT 'PUBLIC'
        UNION ALL
        SELECT format('%I', rolname) FROM pg_catalog.pg_roles WHERE rolname IN ('anon', 'authenticated', 'service_role')
    LOOP
        EXECUTE 'REVOKE ALL ON TABLE public.gpt_migrations, public.gpt_migration_locks FROM ' || v_grantee;
        EXECUTE 'REVOKE ALL ON SEQUENCE public.gpt_migrations_id_seq FROM ' || v_grantee;
    END LOOP;
END
$bookkeeping$;
