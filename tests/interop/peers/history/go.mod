// The checker of histories: porcupine, and the rules of Kubernetes for reads at a revision and for watches.
module tlsboot.test/history

go 1.26.0

require github.com/anishathalye/porcupine v1.3.1
