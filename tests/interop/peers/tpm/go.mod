// A machine and a server of attestations, for the suite of interoperability.
module tlsboot.test/tpm

go 1.26.0

require (
	github.com/google/go-attestation v0.6.4
	github.com/google/go-tpm v0.9.8
)

require golang.org/x/sys v0.41.0 // indirect
