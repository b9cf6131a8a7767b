package doctor

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
)

var errOtherDriver = errors.New("the driver does not show its connection")

// link is the connection beneath a session of the driver.
func link(raw func(func(any) error) error) (conn net.Conn, err error) {
	err = raw(func(driverConn any) error {
		c, ok := driverConn.(interface{ Conn() net.Conn })
		if !ok {
			return errOtherDriver
		}
		conn = c.Conn()
		return nil
	})
	return conn, err
}

func lookAtTLS(ctx context.Context, p *Patient) (string, []Finding, error) {
	session, err := p.DB.Conn(ctx)
	if err != nil {
		return "", nil, err
	}
	defer session.Close() //nolint:errcheck // back into the pool
	conn, err := link(session.Raw)
	if err != nil {
		return "", nil, err
	}
	encrypted, ok := conn.(*tls.Conn)
	if !ok {
		seen, findings := judgePlain(conn.RemoteAddr())
		return seen, findings, nil
	}
	seen, findings := judgeTLS(encrypted.ConnectionState())
	return seen, findings, nil
}

// judgePlain lets a connection pass that does not leave the machine.
func judgePlain(server net.Addr) (string, []Finding) {
	switch address := server.(type) {
	case *net.UnixAddr:
		return "none, over a Unix socket", nil
	case *net.TCPAddr:
		if address.IP.IsLoopback() {
			return "none, within this machine", nil
		}
	}
	return "none", []Finding{{
		"The connection is not encrypted: whoever is in between reads every row and can send statements of their own.",
		"Turn on TLS on the server and connect with sslmode=verify-full, which is the default.",
	}}
}

// judgeTLS goes by what was verified, whatever the database URL says.
func judgeTLS(state tls.ConnectionState) (string, []Finding) {
	version := tls.VersionName(state.Version)
	if len(state.VerifiedChains) > 0 {
		return version + ", certificate verified for the server's name", nil
	}
	return version + ", not verified", []Finding{{
		"The connection is encrypted, but nobody verified that the certificate is for this server's name: someone in between could pretend to be the server.",
		"Connect with sslmode=verify-full, and name the CA's file with sslrootcert if it is not one of the system's.",
	}}
}
