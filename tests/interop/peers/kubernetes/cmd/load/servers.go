package main

import (
	"strings"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// servers are assigned to clients in turn; a mode with one client uses the first.
type servers []*rest.Config

func (s servers) at(index int) *rest.Config { return s[index%len(s)] }

// readServers reads a comma-separated list of kubeconfigs, one for each server.
func readServers(kubeconfigs string) (servers, error) {
	var all servers
	for _, path := range strings.Split(kubeconfigs, ",") {
		config, err := clientcmd.BuildConfigFromFlags("", path)
		if err != nil {
			return nil, err
		}
		all = append(all, stock(config))
	}
	return all, nil
}
