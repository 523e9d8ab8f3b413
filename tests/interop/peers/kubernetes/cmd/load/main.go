// Command load is the load of the benchmarks: many stock Kubernetes clients, each with a TLS connection of its own and
// protobuf bodies, against any server of certificate signing requests. One word selects what they do:
//
//	storm   nodes that bootstrap at the same instant
//	create  requests that are posted as fast as they are acknowledged
//	list    the whole list in each of its forms
//	page    the whole list in pages
//	watch   watchers of one resource while it is written
//	idle    connections that do nothing
//	clean   all requests are deleted
//	cfssl   nodes whose requests cfssl signs
//
// Clients are spread over the servers of all kubeconfigs, and retry when an answer is lost, until the timeout. It
// prints one line of JSON, and ends with an error if any client did not get what it requested.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"sort"
	"strings"
	"time"
)

// A mode adds its flags, and returns a function to run once they are parsed.
type mode func(flags *flag.FlagSet) func(ctx context.Context, to servers) (facts any, err error)

var modes = map[string]mode{
	"storm":  stormMode,
	"create": createMode,
	"list":   listMode,
	"page":   pageMode,
	"watch":  watchMode,
	"idle":   idleMode,
	"clean":  cleanMode,
	"cfssl":  cfsslMode,
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 0 || modes[args[0]] == nil {
		return fmt.Errorf("the first word is one of %s", strings.Join(words(), ", "))
	}
	flags := flag.NewFlagSet(args[0], flag.ExitOnError)
	kubeconfigs := flags.String("kubeconfig", "", "credentials of every client; with commas, one file for each server")
	timeout := flags.Duration("timeout", 2*time.Minute, "give up after this long")
	act := modes[args[0]](flags)
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	to, err := readServers(*kubeconfigs)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), *timeout)
	defer cancel()
	facts, err := act(ctx, to)
	if err != nil {
		return fmt.Errorf("%s: %w", args[0], err)
	}
	return json.NewEncoder(os.Stdout).Encode(facts)
}

func words() []string {
	var names []string
	for name := range modes {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}
