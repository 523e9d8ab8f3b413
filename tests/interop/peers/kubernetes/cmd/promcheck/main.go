// Command promcheck reads a page of metrics on standard input with Prometheus' own parser and linter, and writes the
// result as JSON: each family with its type and the names of its labels, and the findings of the linter.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sort"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

type family struct {
	Name   string   `json:"name"`
	Type   string   `json:"type"`
	Labels []string `json:"labels"`
	Series int      `json:"series"`
}

type report struct {
	Families []family `json:"families"`
	Problems []string `json:"problems"`
}

func main() {
	page, err := io.ReadAll(os.Stdin)
	if err == nil {
		err = check(page)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func check(page []byte) error {
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(page))
	if err != nil {
		return err
	}
	found := report{Families: []family{}, Problems: []string{}}
	for name, each := range families {
		labels := map[string]bool{}
		for _, metric := range each.GetMetric() {
			for _, pair := range metric.GetLabel() {
				labels[pair.GetName()] = true
			}
		}
		one := family{Name: name, Type: each.GetType().String(), Labels: []string{}, Series: len(each.GetMetric())}
		for label := range labels {
			one.Labels = append(one.Labels, label)
		}
		sort.Strings(one.Labels)
		found.Families = append(found.Families, one)
	}
	sort.Slice(found.Families, func(i, j int) bool { return found.Families[i].Name < found.Families[j].Name })
	problems, err := promlint.New(bytes.NewReader(page)).Lint()
	if err != nil {
		return err
	}
	for _, problem := range problems {
		found.Problems = append(found.Problems, problem.Metric+": "+problem.Text)
	}
	return json.NewEncoder(os.Stdout).Encode(found)
}
