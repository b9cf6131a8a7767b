package bench

// Server is what the figures depend on most.
type Server struct {
	Version           string `json:"version"`
	Fsync             string `json:"fsync"`
	SynchronousCommit string `json:"synchronous_commit"`
	FullPageWrites    string `json:"full_page_writes"`
	SharedBuffers     string `json:"shared_buffers"`
}

// Result is one operation at one concurrency.
type Result struct {
	Operation  string  `json:"operation"`
	Clients    int     `json:"clients"`
	Calls      int     `json:"calls"`
	PerSecond  float64 `json:"per_second"`
	P50MS      float64 `json:"p50_ms"`
	P99MS      float64 `json:"p99_ms"`
	RoundTrips float64 `json:"round_trips"`   // a call
	Commits    float64 `json:"commits"`       // a call
	WALBytes   float64 `json:"wal_bytes"`     // a call
	Allocs     float64 `json:"client_allocs"` // a call
	AllocBytes float64 `json:"client_alloc_bytes"`
	CPUMicros  float64 `json:"client_cpu_us"` // a call; 0: not known on this system

	// What the library reached of pgbench's throughput in the run beside it, in each of the pairs, and the median of that;
	// null and empty: not compared.
	OfFunction      *float64  `json:"of_function"`
	OfFunctionPairs []float64 `json:"of_function_pairs"`
	OfLimit         *float64  `json:"of_limit"`
	OfLimitPairs    []float64 `json:"of_limit_pairs"`
}
