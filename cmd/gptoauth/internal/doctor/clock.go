package doctor

import (
	"context"
	"fmt"
	"time"
)

// tolerableSkew: the store goes by the database's clock alone, a signed access token by that of the host.
const tolerableSkew = 2 * time.Second

// lookAtClock asks three times and believes the fastest answer.
func lookAtClock(ctx context.Context, p *Patient) (string, []Finding, error) {
	var skew, doubt time.Duration
	for i := range 3 {
		var micros int64
		before := p.Now()
		err := p.DB.QueryRowContext(ctx, "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint").Scan(&micros)
		if err != nil {
			return "", nil, err
		}
		half := p.Now().Sub(before) / 2
		if i == 0 || half < doubt {
			skew, doubt = time.UnixMicro(micros).Sub(before.Add(half)), half
		}
	}
	seen, findings := judgeSkew(skew, doubt)
	return seen, findings, nil
}

func judgeSkew(skew, doubt time.Duration) (string, []Finding) {
	way := "ahead of"
	if skew < 0 {
		way = "behind"
	}
	if skew.Abs() <= doubt {
		return "in step with this host, give or take " + doubt.Round(time.Microsecond).String(), nil
	}
	seen := fmt.Sprintf("%s %s this host, give or take %s", skew.Abs().Round(time.Microsecond), way, doubt.Round(time.Microsecond))
	if skew.Abs()-doubt <= tolerableSkew {
		return seen, nil
	}
	return seen, []Finding{{
		fmt.Sprintf("The database's clock is %s %s that of this host: access tokens that are signed here live longer or shorter than the sessions there.",
			skew.Abs().Round(100*time.Millisecond), way),
		"Keep both in step with NTP; if this host is not the one your servers run on, look from there.",
	}}
}
