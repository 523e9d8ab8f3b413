package main

import (
	"strings"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// servers are what the clients are spread over, in turn; a mode with one client takes the first.
type servers []*rest.Config

func (s servers) at(index int) *rest.Config { return s[index%len(s)] }

// readServers reads one kubeconfig for each, with commas between them.
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
