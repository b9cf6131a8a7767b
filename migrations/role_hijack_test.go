package migrations_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gptoauth/gptoauth/migrations"
	"github.com/gptoauth/gptoauth/repo"
)

// decoys are objects with the names of what the functions use, which raise an error if they are used instead. The
// functions run with their owner's rights, so that whoever gets them to call something else has these.
const decoys = `
CREATE SCHEMA evil;
CREATE FUNCTION evil.trap() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'trapped as %', current_user; END $$;
DO $$
DECLARE
    v_type text;
    v_operator text;
    v_function record;
BEGIN
    FOREACH v_type IN ARRAY ARRAY['text', 'uuid', 'timestamptz', 'bytea', 'bool', 'int8', 'int4'] LOOP
        EXECUTE format('CREATE FUNCTION evil.compare(pg_catalog.%1$s, pg_catalog.%1$s) RETURNS boolean LANGUAGE sql AS ''SELECT evil.trap()''',
                       v_type);
        FOREACH v_operator IN ARRAY ARRAY['=', '<>', '<', '<=', '>', '>='] LOOP
            EXECUTE format('CREATE OPERATOR evil.%1$s (FUNCTION = evil.compare, LEFTARG = pg_catalog.%2$s, RIGHTARG = pg_catalog.%2$s)', v_operator, v_type);
        END LOOP;
    END LOOP;
    FOR v_function IN
        SELECT p.proname, pg_get_function_identity_arguments(p.oid) AS arguments, format_type(p.prorettype, NULL) AS result
          FROM pg_proc AS p
         WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.prokind = 'f' AND p.provariadic = 0 AND NOT p.proretset
           AND p.proname IN ('clock_timestamp', 'now', 'gen_random_uuid', 'encode', 'set_byte', 'get_byte', 'uuid_send', 'int8send',
                             'current_setting', 'array_position', 'coalesce')
    LOOP
        EXECUTE format('CREATE FUNCTION evil.%I(%s) RETURNS %s LANGUAGE plpgsql AS ''BEGIN PERFORM evil.trap(); RETURN NULL; END''',
                       v_function.proname, v_function.arguments, v_function.result);
    END LOOP;
END $$;
CREATE TABLE evil.gpt_sessions (LIKE public.gpt_sessions);
CREATE TABLE evil.gpt_refresh_tokens (LIKE public.gpt_refresh_tokens);
CREATE TABLE evil.gpt_authorization_codes (LIKE public.gpt_authorization_codes);
CREATE TABLE evil.gpt_oauth_events (LIKE public.gpt_oauth_events);
CREATE FUNCTION evil.gpt_close_session_v1(uuid, text) RETURNS void LANGUAGE sql AS 'SELECT evil.trap()';
CREATE FUNCTION evil.gpt_new_id_v1(uuid) RETURNS uuid LANGUAGE sql AS 'SELECT evil.trap(); SELECT NULL::uuid';
GRANT ALL ON SCHEMA evil TO PUBLIC;
GRANT ALL ON ALL TABLES IN SCHEMA evil TO PUBLIC`

// temporaries come before everything else for tables and types, unless a search_path puts pg_temp last.
const temporaries = `
CREATE TEMP TABLE gpt_sessions (LIKE evil.gpt_sessions);
CREATE TEMP TABLE gpt_refresh_tokens (LIKE evil.gpt_refresh_tokens);
CREATE TEMP TABLE gpt_authorization_codes (LIKE evil.gpt_authorization_codes);
CREATE TEMP TABLE gpt_oauth_events (LIKE evil.gpt_oauth_events);
CREATE TEMP TABLE pg_proc (oid oid);
CREATE DOMAIN pg_temp.text AS pg_catalog.text CHECK (evil.trap());
CREATE DOMAIN pg_temp.uuid AS pg_catalog.uuid CHECK (evil.trap());
CREATE DOMAIN pg_temp.timestamptz AS pg_catalog.timestamptz CHECK (evil.trap());
CREATE DOMAIN pg_temp.bigint AS pg_catalog.int8 CHECK (evil.trap())`

// TestFunctionsCallNothingOfTheCallers: the caller chooses the search_path, temporary objects, and settings.
func TestFunctionsCallNothingOfTheCallers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	role, db := w.newRole(t)
	w.grant(t, migrations.GrantParams{Role: role})
	exec(t, w.super, decoys)
	hostile := []string{"evil, pg_temp, pg_catalog, public", "pg_temp, evil, public, pg_catalog"}

	t.Run("TheTrapWorks", func(t *testing.T) {
		for _, path := range hostile {
			for _, statement := range []string{"SELECT clock_timestamp()", "SELECT 'a'::pg_catalog.text = 'b'::pg_catalog.text"} {
				require.Equal(t, "P0001", stateOf(t, db, "SET LOCAL search_path = "+path+"; "+statement), path+": "+statement)
			}
		}
	})

	// What the functions do is the owner's, but for the settings that they pin. So is their plan, which is why each search_path
	// has a connection of its own.
	for _, path := range hostile {
		t.Run(strings.ReplaceAll(path, ", ", "_"), func(t *testing.T) {
			db := w.as(t, role)
			db.SetMaxOpenConns(1)
			exec(t, db, temporaries)
			exec(t, db, "SET search_path = "+path)
			calls := nullCalls(t, w.owner)
			for _, name := range appFunctions {
				require.NotEqual(t, "P0001", stateOf(t, db, strings.ReplaceAll(calls[name], "NULL::", "NULL::pg_catalog.")), name)
			}

			for _, statement := range []string{
				`SELECT public.gpt_issue_code_v1('00000000-0000-7000-8000-000000000001'::pg_catalog.uuid, 'hash', 'challenge', 'user_1', 'client_1',
					'https://example.com', '', '', NULL, 60000000, NULL, '00000000-0000-7000-8000-000000000002'::pg_catalog.uuid)`,
				`SELECT outcome OPERATOR(pg_catalog.||) '' FROM public.gpt_exchange_code_v1('hash', 'client_1', NULL, 'challenge', true,
					'00000000-0000-7000-8000-000000000003', '00000000-0000-7000-8000-000000000004', 'token', 60000000, 0, NULL, NULL,
					'00000000-0000-7000-8000-000000000005')`,
				`SELECT outcome FROM public.gpt_rotate_refresh_token_v1('token', 'client_1', '00000000-0000-7000-8000-000000000006', 'token2', '\x00',
					60000000, 60000000, NULL, '00000000-0000-7000-8000-000000000007')`,
				`SELECT alive FROM public.gpt_touch_session_v1('00000000-0000-7000-8000-000000000003', 0)`,
				`SELECT public.gpt_append_events_v1('{00000000-0000-7000-8000-000000000008}', '{job}', '{NULL}', '{NULL}', '{NULL}', '{NULL}', '{NULL}')`,
				`SELECT sessions FROM public.gpt_end_user_v1('user_1', 'gone', '00000000-0000-7000-8000-000000000009')`,
				`SELECT outcome FROM public.gpt_revoke_refresh_token_v1('token2', 'client_1', NULL, '00000000-0000-7000-8000-000000000010')`,
			} {
				_, err := db.DB.ExecContext(t.Context(), statement)
				require.NoError(t, err)
			}
			exec(t, db, "SET search_path = pg_catalog; DISCARD TEMP")
			require.Equal(t, []string{"0 0 0 0"}, texts(t, w.super, `SELECT format('%s %s %s %s', (SELECT count(*) FROM evil.gpt_sessions),
				(SELECT count(*) FROM evil.gpt_refresh_tokens), (SELECT count(*) FROM evil.gpt_authorization_codes), (SELECT count(*) FROM evil.gpt_oauth_events))`))
			require.Equal(t, []string{"user_end"}, texts(t, w.super, `SELECT DISTINCT event_type FROM public.gpt_oauth_events WHERE event_type = 'user_end'`))
			exec(t, w.super, `WITH t AS (DELETE FROM public.gpt_refresh_tokens), c AS (DELETE FROM public.gpt_authorization_codes),
				e AS (DELETE FROM public.gpt_oauth_events) DELETE FROM public.gpt_sessions`)
		})
	}

	t.Run("TheStoreTakesNoTemporaryObject", func(t *testing.T) {
		db := w.as(t, role)
		db.SetMaxOpenConns(1)
		exec(t, db, temporaries)
		runEverything(t, must(repo.New(db, repo.Config{})))
	})
}
