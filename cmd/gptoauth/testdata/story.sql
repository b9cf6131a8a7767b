-- What the golden files show: Ada's stolen session and her living one, Eve's sign-in, and what the host wrote beside them.
-- The second generation of the stolen session is the token of golden_test.go.
INSERT INTO public.gpt_sessions (id, clerk_user_id, client_id, scope, created_at, last_active, expires_at, ended_at, end_reason, retries, ip_address, user_agent) VALUES
    ('01990000-0000-7000-8000-00000051beef', 'user_2ada', 'https://client.example/oauth.json', 'jobs:read offline_access', '2026-03-01 12:00:00Z', '2026-03-01 13:30:00Z', '2999-01-01Z', '2026-03-01 13:30:00Z', 'token_reuse', 2, '198.51.100.7', 'openai-mcp/1.0'),
    ('01990000-0000-7000-8000-00000052beef', 'user_2ada', 'client_1', '', '2026-03-02 09:00:00Z', '2026-03-02 09:00:00Z', NULL, NULL, NULL, 0, NULL, NULL),
    ('01990000-0000-7000-8000-00000053beef', 'user_2eve', 'client_1', '', '2026-03-01 14:00:00Z', '2026-03-01 14:00:00Z', '2026-03-03 14:00:00Z', NULL, NULL, 0, '2001:db8:85a3:8d3:1319:8a2e:370:7348', '');

INSERT INTO public.gpt_refresh_tokens (id, token_hash, clerk_user_id, session_id, expires_at, revoked_at, rotated_to, created_at) VALUES
    ('01990000-0000-7000-8000-000000a3beef', 'f46dd28a5499d8efef0b8fb8ee1ec1c5a5e407c9381741d576ba8deb4f59ec3f', 'user_2ada', '01990000-0000-7000-8000-00000051beef', '2999-01-01Z', '2026-03-01 13:30:00Z', NULL, '2026-03-01 13:00:00Z'),
    ('01990000-0000-7000-8000-000000a2beef', '8046423a2e06bbdca60b10a829b3352cd0e69f0fc63abe2fea453008b35288f3', 'user_2ada', '01990000-0000-7000-8000-00000051beef', '2999-01-01Z', '2026-03-01 13:00:00Z', '01990000-0000-7000-8000-000000a3beef', '2026-03-01 12:10:00Z'),
    ('01990000-0000-7000-8000-000000a1beef', 'f55ff16f66f43360266b95db6f8fec01d76031054306ae4a4b380598f6cfd114', 'user_2ada', '01990000-0000-7000-8000-00000051beef', '2999-01-01Z', '2026-03-01 12:10:00Z', '01990000-0000-7000-8000-000000a2beef', '2026-03-01 12:00:00Z'),
    ('01990000-0000-7000-8000-000000b1beef', '7dc96f776c8423e57a2785489a3f9c43fb6e756876d6ad9a9cac4aa4e72ec193', 'user_2ada', '01990000-0000-7000-8000-00000052beef', '2999-01-01Z', NULL, NULL, '2026-03-02 09:00:00Z'),
    ('01990000-0000-7000-8000-000000c1beef', 'd0f631ca1ddba8db3bcfcb9e057cdc98d0379f1bee00e75a545147a27dadd982', 'user_2eve', '01990000-0000-7000-8000-00000053beef', '2026-03-03 14:00:00Z', NULL, NULL, '2026-03-01 14:00:00Z');

UPDATE public.gpt_sessions AS s
   SET refresh_token_id = t.id
  FROM public.gpt_refresh_tokens AS t
 WHERE t.session_id = s.id AND t.rotated_to IS NULL;

INSERT INTO public.gpt_oauth_events (id, event_type, clerk_user_id, client_id, session_id, metadata, ip_address, created_at) VALUES
    ('01990000-0000-7000-8000-000000e0beef', 'authorize', 'user_2ada', 'https://client.example/oauth.json', NULL, '{}', '198.51.100.7', '2026-03-01 11:59:50Z'),
    ('01990000-0000-7000-8000-000000e1beef', 'code_mismatch', 'user_2ada', 'https://client.example/oauth.json', NULL, '{"rule": "code_verifier"}', '203.0.113.66', '2026-03-01 11:59:55Z'),
    ('01990000-0000-7000-8000-000000e2beef', 'token_exchange', 'user_2ada', 'https://client.example/oauth.json', '01990000-0000-7000-8000-00000051beef', '{}', '198.51.100.7', '2026-03-01 12:00:00Z'),
    ('01990000-0000-7000-8000-000000e3beef', 'token_refresh', 'user_2ada', 'https://client.example/oauth.json', '01990000-0000-7000-8000-00000051beef', '{}', '198.51.100.7', '2026-03-01 12:10:00Z'),
    ('01990000-0000-7000-8000-000000e4beef', 'token_retry', 'user_2ada', 'https://client.example/oauth.json', '01990000-0000-7000-8000-00000051beef', '{"refresh_token_id": "01990000-0000-7000-8000-000000a1beef"}', '198.51.100.7', '2026-03-01 12:10:01Z'),
    ('01990000-0000-7000-8000-000000e5beef', 'token_retry', 'user_2ada', 'https://client.example/oauth.json', '01990000-0000-7000-8000-00000051beef', '{"refresh_token_id": "01990000-0000-7000-8000-000000a1beef"}', '198.51.100.7', '2026-03-01 12:10:02Z'),
    ('01990000-0000-7000-8000-000000e6beef', 'job_search', 'user_2ada', 'https://client.example/oauth.json', '01990000-0000-7000-8000-00000051beef', '{"query": "gopher, remote"}', NULL, '2026-03-01 12:30:00Z'),
    ('01990000-0000-7000-8000-000000e7beef', 'token_refresh', 'user_2ada', 'https://client.example/oauth.json', '01990000-0000-7000-8000-00000051beef', '{}', '198.51.100.7', '2026-03-01 13:00:00Z'),
    ('01990000-0000-7000-8000-000000e8beef', 'token_reuse', 'user_2ada', 'https://client.example/oauth.json', '01990000-0000-7000-8000-00000051beef', '{"rotated_at": "2026-03-01T13:00:00+00:00", "refresh_token_id": "01990000-0000-7000-8000-000000a2beef"}', '203.0.113.66', '2026-03-01 13:30:00Z'),
    ('01990000-0000-7000-8000-000000e9beef', 'token_exchange', 'user_2eve', 'client_1', '01990000-0000-7000-8000-00000053beef', '{}', '2001:db8:85a3:8d3:1319:8a2e:370:7348', '2026-03-01 14:00:00Z'),
    ('01990000-0000-7000-8000-000000eabeef', 'health_check', NULL, NULL, NULL, '{}', NULL, '2026-03-01 23:59:59Z'),
    ('01990000-0000-7000-8000-000000ebbeef', 'token_exchange', 'user_2ada', 'client_1', '01990000-0000-7000-8000-00000052beef', '{}', NULL, '2026-03-02 09:00:00Z');
