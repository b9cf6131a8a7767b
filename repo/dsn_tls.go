package repo

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/netip"
)

const (
	sslModeRequire    = "require"
	sslModeVerifyCA   = "verify-ca"
	sslModeVerifyFull = "verify-full"

	sslRootSystem = "system"
)

// tlsConfig is by libpq's rules, but for two: without an sslmode the server is verified in full unless it is local, and
// what falls back to plain text is refused. A Unix socket has no TLS, whatever the mode says.
func (p parameters) tlsConfig(host string, readFile func(string) ([]byte, error)) (*tls.Config, error) {
	mode := p["sslmode"]
	switch mode.value {
	case "":
		mode.value = sslModeVerifyFull
		if isLocal(host) && !p.saysTLS() {
			mode.value = wordDisable
		}
	case wordDisable, sslModeRequire, sslModeVerifyCA, sslModeVerifyFull:
	case wordPrefer, "allow":
		return nil, mode.err("may fall back to plain text, which is refused: use verify-full, or disable on a network you trust")
	default:
		return nil, mode.err("must be disable, require, verify-ca or verify-full")
	}
	if mode.value == wordDisable || isSocketFolder(host) {
		return nil, nil //nolint:nilnil // no TLS is an answer
	}

	root := p["sslrootcert"]
	roots, err := rootsOf(root, readFile)
	if err != nil {
		return nil, err
	}
	certificates, err := clientCertificates(p["sslcert"], p["sslkey"], readFile)
	if err != nil {
		return nil, err
	}
	config := &tls.Config{
		MinVersion:   tls.VersionTLS12,
		ServerName:   serverName(host),
		RootCAs:      roots,
		Certificates: certificates,
	}
	if mode.value == sslModeVerifyFull {
		return config, nil
	}

	config.InsecureSkipVerify = true // what is to be verified is verified by VerifyConnection
	if roots != nil {
		config.VerifyConnection = verifyChain(roots)
		return config, nil
	}
	if mode.value == sslModeVerifyCA || root.value == sslRootSystem {
		// Anyone can have a certificate of a public CA for a name of their own.
		return nil, mode.err("without verification of the name needs the server's own CA in sslrootcert: name its file, or use verify-full")
	}
	return config, nil
}

// saysTLS: a DSN that names a certificate means TLS, in a tunnel that ends at localhost too. The environment may name one for
// other servers.
func (p parameters) saysTLS() bool {
	return p["sslrootcert"].name == "sslrootcert" || p["sslcert"].name == "sslcert"
}

// serverName is what the certificate must name: an address without its zone.
func serverName(host string) string {
	if addr, err := netip.ParseAddr(host); err == nil {
		return addr.WithZone("").String()
	}
	return host
}

// rootsOf returns nil for the system's.
func rootsOf(root parameter, readFile func(string) ([]byte, error)) (*x509.CertPool, error) {
	if root.value == "" || root.value == sslRootSystem {
		return nil, nil //nolint:nilnil // nil means the system's to crypto/tls too
	}
	pem, err := readParameterFile(root, readFile)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, root.err("names a file without a PEM certificate")
	}
	return roots, nil
}

func clientCertificates(cert, key parameter, readFile func(string) ([]byte, error)) ([]tls.Certificate, error) {
	switch {
	case cert.value == "" && key.value == "":
		return nil, nil
	case key.value == "":
		return nil, cert.err("needs an sslkey")
	case cert.value == "":
		return nil, key.err("needs an sslcert")
	}
	certPEM, err := readParameterFile(cert, readFile)
	if err != nil {
		return nil, err
	}
	keyPEM, err := readParameterFile(key, readFile)
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return nil, cert.err("and sslkey are not a certificate and its unencrypted key in PEM")
	}
	return []tls.Certificate{pair}, nil
}

// verifyChain is verify-ca: everything but the name.
func verifyChain(roots *x509.CertPool) func(tls.ConnectionState) error {
	return func(state tls.ConnectionState) error {
		intermediates := x509.NewCertPool()
		for _, certificate := range state.PeerCertificates[1:] {
			intermediates.AddCert(certificate)
		}
		_, err := state.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: intermediates})
		if err != nil {
			return &tls.CertificateVerificationError{UnverifiedCertificates: state.PeerCertificates, Err: err}
		}
		return nil
	}
}

// certificateHint says what to do about a server that could not be verified.
func certificateHint(err error) string {
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	var unverified *tls.CertificateVerificationError
	switch {
	case errors.As(err, &name):
		return "connect by a name that is in the certificate, or, on a network you trust, use sslmode=verify-ca with sslrootcert"
	case errors.As(err, &invalid): // expired, for one
		return ""
	case errors.As(err, &unverified):
		return "name the file of the server's CA certificate with sslrootcert or PGSSLROOTCERT " +
			"(Supabase: Database Settings, SSL Configuration, download the certificate)"
	default:
		return ""
	}
}
