-- gptoauth migration @id@_@name@, exported.
--
-- Do not edit: gptoauth compares the checksum recorded at the end with its own file. It is one statement, so that it
-- happens as a whole or not at all, and it does nothing where the migration is recorded already.
DO $gptoauth$
BEGIN
    PERFORM pg_advisory_xact_lock(@key@);
    PERFORM set_config('lock_timeout', '@lock_timeout@', true); -- rather fail than let all traffic queue behind this

    EXECUTE @bookkeeping@;
    IF EXISTS (SELECT FROM public.gpt_migration_locks) THEN
        RAISE EXCEPTION 'gptoauth: migrations are held' USING HINT = 'gptoauth migrate unlock';
    END IF;
    IF EXISTS (SELECT FROM public.gpt_migrations WHERE name = '@id@') THEN
        IF EXISTS (SELECT FROM public.gpt_migrations WHERE name = '@id@' AND checksum <> '@checksum@') THEN
            RAISE EXCEPTION 'gptoauth: migration @id@ was edited after it was applied';
        END IF;
        RETURN;
    END IF;
    IF EXISTS (SELECT FROM public.gpt_migrations WHERE name COLLATE "C" > '@id@') THEN
        RAISE EXCEPTION 'gptoauth: migration @id@ is out of order: a newer one is applied';
    END IF;

    EXECUTE @migration@;

    INSERT INTO public.gpt_migrations (name, comment, checksum, group_id)
    SELECT '@id@', '@name@', '@checksum@', coalesce(max(group_id), 0) + 1 FROM public.gpt_migrations;
END
$gptoauth$;
