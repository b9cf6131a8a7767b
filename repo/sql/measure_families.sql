-- Says how many tokens but the current one the first of the locked sessions have, in the given order, until the limit is
-- reached: what the rest have is not counted.
SELECT family.n, count(*) AS tokens
  FROM (SELECT doomed.n
          FROM (SELECT given.n, s.id, s.refresh_token_id
                  FROM unnest(?ids::pg_catalog.uuid[]) WITH ORDINALITY AS given (id, n)
                  JOIN public.gpt_sessions AS s ON s.id = given.id
                 ORDER BY given.n) AS doomed
         CROSS JOIN LATERAL (
              SELECT FROM public.gpt_refresh_tokens AS t
               WHERE t.session_id = doomed.id AND t.id IS DISTINCT FROM doomed.refresh_token_id
               LIMIT ?limit
         ) AS old
         LIMIT ?limit) AS family
 GROUP BY family.n
