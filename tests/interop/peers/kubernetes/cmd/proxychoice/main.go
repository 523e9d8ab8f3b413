// Command proxychoice reports which proxy a Go client uses. It reads one JSON object per line from standard input: the
// values of HTTPS_PROXY and NO_PROXY, and the URL of the server. It writes the host and port of the proxy, or "direct".
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"log"
	"net/url"
	"os"

	"golang.org/x/net/http/httpproxy"
)

type question struct {
	HTTPSProxy string `json:"httpsProxy"`
	NoProxy    string `json:"noProxy"`
	URL        string `json:"url"`
}

func main() {
	log.SetFlags(0)
	input := json.NewDecoder(bufio.NewReader(os.Stdin))
	for input.More() {
		var q question
		if err := input.Decode(&q); err != nil {
			log.Fatal(err)
		}
		server, err := url.Parse(q.URL)
		if err != nil {
			log.Fatal(err)
		}
		config := httpproxy.Config{HTTPSProxy: q.HTTPSProxy, NoProxy: q.NoProxy}
		proxy, err := config.ProxyFunc()(server)
		switch {
		case err != nil:
			fmt.Println("error")
		case proxy == nil:
			fmt.Println("direct")
		default:
			fmt.Println(proxy.Host)
		}
	}
}
