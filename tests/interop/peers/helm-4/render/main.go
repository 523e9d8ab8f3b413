// Command render renders a chart with Helm's own engine, as `helm template` does, and prints the text of each template as
// a JSON object:
//
//	render CHART NAMESPACE VALUES
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/engine"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 3 {
		return errors.New("usage: render CHART NAMESPACE VALUES")
	}
	chart, err := loader.Load(args[0])
	if err != nil {
		return err
	}
	if err := chart.Validate(); err != nil {
		return err
	}
	var values map[string]any
	if err := json.Unmarshal([]byte(args[2]), &values); err != nil {
		return err
	}
	options := common.ReleaseOptions{Name: chart.Name(), Namespace: args[1], IsInstall: true}
	all, err := util.ToRenderValues(chart, values, options, common.DefaultCapabilities)
	if err != nil {
		return err
	}
	// In strict mode a missing value is an error, not an empty text.
	files, err := engine.Engine{Strict: true}.Render(chart, all)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(files)
}
