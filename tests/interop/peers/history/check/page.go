package main

import (
	"cmp"
	"fmt"
	"html/template"
	"os"
	"path/filepath"
	"slices"

	"github.com/anishathalye/porcupine"
)

const (
	// maxPages limits porcupine's pages: a store that loses data breaks the promises about every object.
	maxPages = 10
	// maxShown limits the faults of the page, and maxAround the changes around each.
	maxShown, maxAround = 100, 6
)

// pages writes HTML pages about broken promises.
type pages struct {
	folder string
	model  *model
	// objects lists the pages of porcupine.
	objects []objectPage
}

type objectPage struct{ Name, File string }

// object writes porcupine's page with the calls for an object.
func (p *pages) object(name string, model porcupine.Model, info porcupine.LinearizationInfo) {
	if p.folder == "" || len(p.objects) >= maxPages {
		return
	}
	page := objectPage{name, fmt.Sprintf("object-%d.html", len(p.objects)+1)}
	if err := porcupine.VisualizePath(model, info, filepath.Join(p.folder, page.File)); err != nil {
		fmt.Fprintf(os.Stderr, "check: no page of %s: %v\n", name, err)
		return
	}
	p.objects = append(p.objects, page)
}

// row is a row of a table: a change in the store, and how a watch or a list showed it.
type row struct {
	At       string
	Revision int64
	Change   string
	Seen     string
	IsFault  bool
}

type shownFault struct {
	fault
	Rows []row
}

// write writes the page with all faults and returns its path, or an empty path if there are none.
func (p *pages) write(v verdict) (string, error) {
	if p.folder == "" || len(v.Faults)+len(v.Unknown) == 0 {
		return "", nil
	}
	counts := map[string]int{}
	var shown []shownFault
	for _, one := range v.Faults {
		counts[one.Property]++
		if len(shown) < maxShown {
			shown = append(shown, shownFault{one, p.rows(one)})
		}
	}
	path := filepath.Join(p.folder, "faults.html")
	file, err := os.Create(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	return path, page.Execute(file, map[string]any{"V": v, "Counts": counts, "Faults": shown, "Objects": p.objects})
}

// rows lists the changes of the resource around the revision of a fault, and how the watch or the list showed them.
func (p *pages) rows(f fault) []row {
	seen := map[int64]string{}
	var resource string
	switch {
	case f.watch != nil:
		resource = f.watch.resource
		for _, e := range f.watch.events {
			if e.object != nil {
				seen[e.object.ResourceVersion] += fmt.Sprintf("%s %s at %s ", e.kind, e.object.key(), seconds(e.at))
			} else if e.kind == "BOOKMARK" {
				seen[e.revision] += fmt.Sprintf("bookmark at %s ", seconds(e.at))
			}
		}
	case f.call != nil && f.call.list != nil:
		resource = f.call.resource
		for _, item := range f.call.list.Items {
			seen[item.ResourceVersion] = item.key()
		}
		seen[f.around] += fmt.Sprintf(" (the list's revision, from %s to %s)", seconds(f.call.begin), seconds(f.call.end))
	default:
		return nil
	}
	var rows []row
	if changes := p.model.resources[resource]; changes != nil {
		for _, one := range changes.all {
			at := seconds(p.model.madeBefore(one.revision))
			rows = append(rows, row{at, one.revision, describeWithCall(one), seen[one.revision], one.revision == f.around})
			delete(seen, one.revision)
		}
	}
	for revision, text := range seen {
		rows = append(rows, row{"", revision, "", text, revision == f.around})
	}
	slices.SortFunc(rows, func(a, b row) int { return cmp.Compare(a.Revision, b.Revision) })
	middle := slices.IndexFunc(rows, func(r row) bool { return r.Revision >= f.around })
	if middle < 0 {
		middle = len(rows)
	}
	return rows[max(0, middle-maxAround):min(len(rows), middle+maxAround+1)]
}

func describeWithCall(c *change) string {
	by := "the server"
	if c.by != nil {
		by = c.by.client + " (" + c.by.verb + ")"
	}
	return fmt.Sprintf("%s: %s, by %s", c.key, describeChange(c), by)
}

func seconds(us int64) string {
	if us == never {
		return "never"
	}
	return duration(us)
}

var page = template.Must(template.New("page").Parse(`<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{{.V.Title}}</title>
<style>
  :root { color-scheme: light dark; }
  body { font: 15px/1.5 system-ui, sans-serif; max-width: 75rem; margin: 2rem auto; padding: 0 1rem; }
  table { border-collapse: collapse; width: 100%; margin: .5rem 0 1.5rem; font-size: 13px; }
  th, td { text-align: left; padding: .2rem .6rem; border-bottom: 1px solid #8885; overflow-wrap: anywhere; }
  .number { white-space: nowrap; }
  tr.fault { background: #f003; }
  summary { cursor: pointer; }
  .property { font-weight: 600; }
</style>
<h1>{{.V.Title}}</h1>
<p>{{.V.Calls}} calls; {{.V.Operations}} operations on {{.V.Objects}} objects, {{.V.Reads}} reads at a revision and {{.V.Events}} events of
{{.V.Watches}} watches were checked. Times are of the clock of the history.</p>
<h2>Broken promises: {{len .V.Faults}}</h2>
<ul>{{range $property, $count := .Counts}}<li>{{$property}}: {{$count}}</li>{{end}}</ul>
{{if .Objects}}<h2>Calls that no order explains</h2>
<ul>{{range .Objects}}<li><a href="{{.File}}">{{.Name}}</a></li>{{end}}</ul>{{end}}
{{if .V.Unknown}}<h2>Not decided in time</h2><ul>{{range .V.Unknown}}<li>{{.}}</li>{{end}}</ul>{{end}}
{{if .Faults}}<h2>The first {{len .Faults}}</h2>{{end}}
{{range .Faults}}<details open><summary><span class="property">{{.Property}}</span>: {{.Message}}</summary>
{{if .Rows}}<table><tr><th class="number">seen first</th><th class="number">revision</th><th>change</th><th>what it showed</th></tr>
{{range .Rows}}<tr{{if .IsFault}} class="fault"{{end}}><td class="number">{{.At}}</td><td class="number">{{if .Revision}}{{.Revision}}{{end}}</td><td>{{.Change}}</td><td>{{.Seen}}</td></tr>
{{end}}</table>{{end}}</details>
{{end}}</html>
`))
