package repo_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/uptrace/bun/driver/pgdriver"

	"github.com/gptoauth/gptoauth/repo/repotest"
)

// The functions are called by other languages too, and by whoever has EXECUTE: what package repo checks before, they
// check again as far as safety needs it.
var sqlFunctions = []struct {
	name string
	args []string
	// required are the indexes of the arguments that must not be NULL.
	required []int
	// bounded are arguments out of bounds, by index.
	bounded map[int][]string
}{
	{
		name: "gpt_issue_code_v1",
		args: []string{
			"gen_random_uuid()", "'c'", "'challenge'", "'u'", "'c'", "'https://x'", "''", "''", "NULL", "60000000", "NULL", "gen_random_uuid()",
		},
		required: []int{0, 1, 2, 3, 4, 5, 6, 7, 9, 11},
		bounded:  map[int][]string{9: {"0", "-1", "600000001", "9223372036854775807"}},
	},
	{
		name: "gpt_exchange_code_v1",
		args: []string{
			"'c'", "'c'", "NULL", "NULL", "true", "gen_random_uuid()", "gen_random_uuid()", "'h'", "1", "0", "NULL", "NULL", "gen_random_uuid()",
		},
		required: []int{0, 1, 4, 5, 6, 7, 8, 9, 12},
		bounded:  map[int][]string{8: {"0", "-1", "315360000000001"}, 9: {"-1", "315360000000001"}},
	},
	{
		name:     "gpt_rotate_refresh_token_v1",
		args:     []string{"'h'", "'c'", "gen_random_uuid()", "'h2'", `'\x00'`, "1", "1", "NULL", "gen_random_uuid()"},
		required: []int{0, 1, 2, 3, 4, 5, 6, 8},
		bounded:  map[int][]string{5: {"-1", "600000001"}, 6: {"0", "-1", "315360000000001"}},
	},
	{name: "gpt_revoke_refresh_token_v1", args: []string{"'h'", "'c'", "NULL", "gen_random_uuid()"}, required: []int{0, 1, 3}},
	{name: "gpt_end_session_v1", args: []string{"gen_random_uuid()", "'r'", "NULL", "gen_random_uuid()"}, required: []int{0, 1, 3}},
	{name: "gpt_end_sessions_v1", args: []string{"'u'", "NULL", "NULL", "'r'", "NULL"}, required: []int{0, 3}},
	{name: "gpt_end_user_v1", args: []string{"'u'", "'r'", "gen_random_uuid()"}, required: []int{0, 1, 2}},
	{name: "gpt_erase_user_v1", args: []string{"'u'", "gen_random_uuid()"}, required: []int{0, 1}},
	{
		name: "gpt_touch_session_v1", args: []string{"gen_random_uuid()", "60000000"}, required: []int{0, 1},
		bounded: map[int][]string{1: {"-1", "86400000001"}},
	},
	{
		name: "gpt_touch_sessions_v1", args: []string{"ARRAY[gen_random_uuid()]", "60000000"}, required: []int{0, 1},
		bounded: map[int][]string{0: {"array_fill(gen_random_uuid(), ARRAY[1001])"}, 1: {"-1", "86400000001"}},
	},
}

func TestFunctionsRefuse(t *testing.T) {
	t.Parallel()
	db := repotest.DB(t)
	call := func(name string, args []string, i int, arg string) string {
		args = append([]string(nil), args...)
		if i >= 0 {
			args[i] = arg
		}
		_, err := db.ExecContext(t.Context(), fmt.Sprintf("SELECT * FROM public.%s(%s)", name, strings.Join(args, ", "))) //nolint:unqueryvet // each has columns of its own
		if err == nil {
			return "00000"
		}
		var server pgdriver.Error
		require.ErrorAs(t, err, &server)
		return server.Field('C')
	}
	for _, function := range sqlFunctions {
		require.Equal(t, "00000", call(function.name, function.args, -1, ""), function.name)
		for _, i := range function.required {
			require.Equal(t, "22004", call(function.name, function.args, i, "NULL"), "%s: argument %d is NULL", function.name, i)
		}
		for i, values := range function.bounded {
			for _, value := range values {
				require.Equal(t, "22023", call(function.name, function.args, i, value), "%s: argument %d is %s", function.name, i, value)
			}
		}
	}
	t.Run("AppendForgedEvents", func(t *testing.T) {
		const args = "ARRAY[gen_random_uuid()], ARRAY[%s], ARRAY['u'], ARRAY['c'], ARRAY[NULL]::uuid[], ARRAY[NULL]::jsonb[], ARRAY[NULL]::text[]"
		require.Equal(t, "22023", call("gpt_append_events_v1", []string{fmt.Sprintf(args, "'token_reuse'")}, -1, ""))
		require.Equal(t, "22004", call("gpt_append_events_v1", []string{fmt.Sprintf(args, "NULL::text")}, -1, ""))
		require.Equal(t, "00000", call("gpt_append_events_v1", []string{fmt.Sprintf(args, "'job_search'")}, -1, ""))
	})
}

// TestFunctionsArePinned: each function that a role may be given runs as its owner, with nobody else's objects in reach,
// and is nobody's to call by default.
func TestFunctionsArePinned(t *testing.T) {
	t.Parallel()
	db := repotest.DB(t)
	var functions []struct {
		Name       string
		Definer    bool
		Config     string
		Executable bool
		Args       string
	}
	require.NoError(t, db.NewRaw(`
		SELECT p.proname AS name, p.prosecdef AS definer, array_to_string(p.proconfig, ';') AS config,
		       oidvectortypes(p.proargtypes) AS args,
		       EXISTS (SELECT FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a WHERE a.grantee <> p.proowner) AS executable
		  FROM pg_proc p WHERE p.pronamespace = 'public'::regnamespace AND p.proname LIKE 'gpt\_%' ORDER BY 1`).Scan(t.Context(), &functions))
	require.Len(t, functions, len(sqlFunctions)+3, "and gpt_append_events_v1, gpt_close_session_v1, gpt_new_id_v1")
	for _, f := range functions {
		require.Contains(t, f.Config, "search_path=pg_catalog, pg_temp", f.Name)
		require.False(t, f.Executable, f.Name)
		require.NotContains(t, f.Args, "timestamp", "%s: no parameter is a point in time", f.Name)
		if f.Name != "gpt_close_session_v1" && f.Name != "gpt_new_id_v1" { // called by the others only
			require.True(t, f.Definer, f.Name)
			require.Contains(t, f.Config, "lock_timeout=", f.Name)
		}
	}
}
