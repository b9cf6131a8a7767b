# The long form of the tests that break things: an hour and more. Failures and seeds are in soak.log.
ROUNDS = 60
EACH = 10m

.PHONY: soak
soak:
	GPTOAUTH_FAULT_ROUNDS=$(ROUNDS) GPTOAUTH_CONFORMANCE_TIME=$(EACH) go test -count=1 -timeout 12h -v \
		./internal/faulttest ./internal/leaktest ./repo/repotest/conformance >soak.log 2>&1; \
	status=$$?; grep -E '^ *--- |rounds|lost:|cut at|violation' soak.log; exit $$status
