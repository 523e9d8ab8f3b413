// Command valuejudge parses texts as Kubernetes does. It reads one JSON object per line from standard input, with the
// kind of a value (duration, quantity, labels or yaml) and a text. It writes the value as a line of JSON, or null if
// the text is refused: a duration in nanoseconds, a quantity in canonical form, whether labels can be selected, and
// YAML as JSON text.
package main

import (
	"bufio"
	"encoding/json"
	"log"
	"os"
	"strconv"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/yaml"
)

type question struct {
	Kind string `json:"kind"`
	Text string `json:"text"`
}

func main() {
	log.SetFlags(0)
	input := json.NewDecoder(bufio.NewReader(os.Stdin))
	output := json.NewEncoder(os.Stdout)
	for input.More() {
		var asked question
		if err := input.Decode(&asked); err != nil {
			log.Fatal(err)
		}
		if err := output.Encode(parse(asked)); err != nil {
			log.Fatal(err)
		}
	}
}

// parse returns nil for a text that is refused.
func parse(asked question) *string {
	var value string
	var err error
	switch asked.Kind {
	case "duration":
		var parsed time.Duration
		parsed, err = time.ParseDuration(asked.Text)
		value = strconv.FormatInt(int64(parsed), 10)
	case "quantity":
		var parsed resource.Quantity
		parsed, err = resource.ParseQuantity(asked.Text)
		value = parsed.String()
	case "labels":
		_, err = labels.Parse(asked.Text)
	case "yaml":
		var json []byte
		json, err = yaml.YAMLToJSON([]byte(asked.Text))
		value = string(json)
	default:
		log.Fatalf("no kind of values is called %q", asked.Kind)
	}
	if err != nil {
		return nil
	}
	return &value
}
